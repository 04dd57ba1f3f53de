//! What a person or an app calls a device.

use super::text::line_of_text;

line_of_text! {
    /// The name of a device in the device list: 1 to 100 characters.
    DeviceName, 100, "My phone"
}
