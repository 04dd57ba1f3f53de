//! Clients that read their answers slowly.

use std::time::{Duration, Instant};

use reqwest::Method;

use super::ServerFolder;
use crate::support::{ApiClient, NodeProcess, TestDatabase};

/// `COUNTERFOIL_SLOW_READERS` sets the number of clients; the target is measured with 500 in a release build.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_read_slowly_take_little_memory_and_make_no_other_client_wait() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let readers: usize =
        std::env::var("COUNTERFOIL_SLOW_READERS").map_or(200, |readers| readers.parse().unwrap());
    let (folder, database) = (ServerFolder::new("slow-readers"), TestDatabase::new());
    let node = NodeProcess::start(&folder.0, &[("DATABASE_URL", database.url.0.as_str())]);
    let device = node.api.sign_in("+989121234567").await;
    ApiClient::send(node.api.request(Method::GET, "/openapi.json")).await.ok();
    let before = node.memory_mib();
    let slow = (0..readers).map(async |_| {
        let mut client = tokio::net::TcpStream::connect(node.api.address()).await.unwrap();
        client.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            client.read_u8().await.unwrap();
        }
    });
    let others = async {
        let mut took = Vec::new();
        let mut most = before;
        for n in 0..150 {
            let asked = Instant::now();
            node.api.profile(&device.access).await.ok();
            took.push(asked.elapsed());
            if n % 10 == 0 {
                most = most.max(node.memory_mib());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        took.sort();
        (took[took.len() * 99 / 100], most)
    };
    let (_, (p99, most)) = tokio::join!(futures_util::future::join_all(slow), others);
    eprintln!("{readers} slow readers: {before} to {most} MiB, p99 of others {p99:?}");
    assert!(most < before + 50, "from {before} to {most} MiB");
}
