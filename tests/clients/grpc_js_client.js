// Node's @grpc/grpc-js with nothing generated: the contract comes over reflection (v1).
'use strict';
const assert = require('node:assert/strict');
const grpc = require('@grpc/grpc-js');
const { GrpcReflection } = require('grpc-js-reflection-client');

const SERVICE = 'token.v1.TokenService';
const ACCOUNT = 'client-grpc-js';
const address = process.argv[2];
const plaintext = grpc.credentials.createInsecure();

async function main() {
  const reflection = new GrpcReflection(address, plaintext, {}, 'v1');
  assert((await reflection.listServices()).includes(SERVICE));

  const descriptor = await reflection.getDescriptorBySymbol(SERVICE);
  const contract = descriptor.getPackageObject({ keepCase: true, longs: String, enums: String, defaults: true });
  const client = new contract.token.v1.TokenService(address, plaintext);
  const call = (method, request) =>
    new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + 10_000 };
      client[method]({ account_id: ACCOUNT, ...request }, options, (error, answer) =>
        error ? reject(error) : resolve(answer));
    });

  const credit = await call('Credit', { idempotency_key: 'credit', amount: '100', kind: 'GRANT_KIND_PURCHASED' });
  assert.equal(credit.balance.available, '100');
  const debit = await call('Debit', { idempotency_key: 'debit', amount: '30' });
  assert.equal(debit.balance.available, '70');
  const { balance } = await call('GetBalance', {});
  assert.deepEqual([balance.posted, balance.held, balance.available], ['70', '0', '70']);
  client.close();
}

main().then(
  () => process.exit(0), // the reflection client has no close() and would keep the process alive
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
