//! The log of the development profile.

use std::io::Write;
use std::sync::{Arc, Mutex};

use super::{GatewaySender, NUMBER, code, phone};

#[derive(Clone, Default)]
struct LogBuffer(Arc<Mutex<Vec<u8>>>);

impl Write for LogBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_gateway_writes_the_text_of_a_message_as_one_line() {
    let (lines, sender) = (LogBuffer::default(), GatewaySender::of_phone("kind = \"log\""));
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    sender.send(&phone(NUMBER), &code()).await.unwrap();
    drop(guard);
    let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(written.contains("000042 is your code to sign in"), "{written}");
    assert_eq!(written.lines().count(), 1);
}
