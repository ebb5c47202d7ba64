//! Does the driver see what it should? It runs against a mirror: the model itself, with or without a
//! flaw.

use super::{check, run, shrink};
use crate::model::{Expected, Model, Rules, code};
use crate::target::{Call, Reply, Target};
use crate::workload::Workload;
use proto::v1;
use std::collections::HashMap;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

/// Answers as the model does, through a flaw.
struct Mirror {
    model: Model,
    now: i64,
    flaw: fn(&Call, &mut Expected),
}

impl Target for Mirror {
    async fn call(&mut self, call: Call) -> Result<Reply, Status> {
        let mut answer = self.model.answer(&call, self.now);
        (self.flaw)(&call, &mut answer);
        answer.map_err(|refused| {
            let reason = refused.reason.as_str_name().trim_start_matches("ERROR_REASON_");
            let metadata: HashMap<_, _> = refused.metadata.into_iter().collect();
            let details = ErrorDetails::with_error_info(reason, "token.v1", metadata);
            Status::with_error_details(code(refused.reason), "refused", details)
        })
    }

    fn set_time(&mut self, micros: i64) {
        self.now = micros;
    }
}

#[tokio::test]
async fn the_model_agrees_with_itself() {
    for seed in 0..40 {
        let make = async |catalog: &_| Mirror {
            model: Model::new(Rules::of(catalog)),
            now: 0,
            flaw: |_, _| {},
        };
        check(make, seed, 120).await;
    }
}

#[tokio::test]
async fn a_balance_that_is_off_by_one_is_found_and_shrunk() {
    let make = async |catalog: &_| Mirror {
        model: Model::new(Rules::of(catalog)),
        now: 0,
        // After a capture that leaves something, one token too many.
        flaw: |_, answer| {
            if let Ok(Reply::CaptureHold(v1::CaptureHoldResponse {
                released: 1.., balance, ..
            })) = answer
            {
                balance.iter_mut().for_each(|balance| balance.posted += 1);
            }
        },
    };
    for seed in 0..60 {
        let workload = Workload::random(seed, 120);
        let Err(found) = run(&mut make(&workload.catalog).await, &workload).await else { continue };
        let (shortest, found) = shrink(make, workload, found).await;
        let text = found.to_string();
        assert!(shortest.steps.len() <= 4, "credit, hold and capture would do: {text}");
        assert!(text.contains("posted"), "{text}");
        println!("{text}");
        return;
    }
    panic!("no workload captures a part of a hold");
}
