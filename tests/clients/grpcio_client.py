"""Python's grpcio with nothing generated: the contract comes over reflection (v1alpha only)."""

import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

SERVICE = "token.v1.TokenService"
ACCOUNT = "client-grpcio"

channel = grpc.insecure_channel(sys.argv[1])
reflection = ProtoReflectionDescriptorDatabase(channel)
assert SERVICE in reflection.get_services()
service = DescriptorPool(reflection).FindServiceByName(SERVICE)


def call(name, **request):
    method = service.methods_by_name[name]
    rpc = channel.unary_unary(
        f"/{SERVICE}/{name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    return rpc(GetMessageClass(method.input_type)(account_id=ACCOUNT, **request), timeout=10)


credit = call("Credit", idempotency_key="credit", amount=100, kind="GRANT_KIND_PURCHASED")
assert credit.balance.available == 100, credit
debit = call("Debit", idempotency_key="debit", amount=30)
assert debit.balance.available == 70, debit
balance = call("GetBalance").balance
assert (balance.posted, balance.held, balance.available) == (70, 0, 70), balance
