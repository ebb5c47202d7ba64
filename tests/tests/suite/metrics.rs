//! Metrics, as a collector gets them.

use opentelemetry_proto::tonic::{
    collector::metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    common::v1::any_value::Value,
    metrics::v1::{metric::Data, number_data_point},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tests::{http2::Raw, process::Home};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// Keeps the newest figure of each limit.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<BTreeMap<String, i64>>>);

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let resources = request.into_inner().resource_metrics.into_iter();
        let metrics = resources.flat_map(|it| it.scope_metrics).flat_map(|it| it.metrics);
        for metric in metrics.filter(|it| it.name == "token_service.limits.reached") {
            let Some(Data::Sum(sum)) = metric.data else { continue };
            assert!(sum.is_monotonic, "a counter");
            for point in sum.data_points {
                let limit = point.attributes.iter().find(|it| it.key == "limit");
                let limit = limit.and_then(|it| it.value.clone()).and_then(|it| it.value);
                if let (Some(Value::StringValue(limit)), Some(number_data_point::Value::AsInt(n))) =
                    (limit, point.value)
                {
                    self.0.lock().expect("nobody panicked").insert(limit, n);
                }
            }
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_told_which_limits_were_reached() {
    let collector = Collector::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let mut serving = JoinSet::new();
    let server = Server::builder().add_service(MetricsServiceServer::new(collector.clone()));
    serving.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));

    let home = Home::sqlite();
    let otlp = format!("--otlp-endpoint={endpoint}");
    let settings = ["--connections-max=1", "--receive-timeout-ms=3000", &otlp];
    let process = home.start(&settings).await;
    let mut silent = Raw::connect(&process.address).await;
    for _ in 0..3 {
        Raw::connect(&process.address).await.closed().await;
    }
    silent.closed().await;
    // What wasn't sent yet is sent at the end.
    assert_eq!(process.terminate().await, Some(0));
    let told = collector.0.lock().expect("nobody panicked").clone();
    let expected = [("connections_max", 3), ("receive_timeout_ms", 1)];
    assert_eq!(told, expected.map(|(limit, n)| (limit.to_owned(), n)).into());
}
