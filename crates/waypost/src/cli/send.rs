//! Arguments of `waypost send`. What it does: `crate::send`.

use clap::{ArgGroup, Args};

use super::gateway::Gateway;

pub(super) const EXAMPLES: &str = "\
Examples:
  waypost send --to 15550001111 --text 'Your order is on its way'
  waypost send --customer c-1 --image https://www.example.com/parcel.jpg --caption 'Here it is'
  waypost send --to 15550001111 --template hello_world --language en_US
  waypost send --to 15550001111 --template order_update --header-image https://www.example.com/a.jpg --param Ann --param A-1001";

/// Send one message.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("receiver").required(true).args(["to", "customer"])))]
#[command(group(ArgGroup::new("content").required(true).args(["text", "image", "template"])))]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) gateway: Gateway,
    /// The receiver's phone number, with country code
    #[arg(long, value_name = "PHONE")]
    pub(crate) to: Option<String>,
    /// The receiver by customer id
    #[arg(long, value_name = "ID")]
    pub(crate) customer: Option<String>,
    /// The sender: any name of one of your numbers [default: the organisation's first]
    #[arg(long, value_name = "NUMBER", env = "WAYPOST_PHONE_NUMBER_ID", hide_env_values = true)]
    pub(crate) number: Option<String>,
    /// Send this text
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// Send the image behind this link
    #[arg(long, value_name = "LINK")]
    pub(crate) image: Option<String>,
    /// Text below the image
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["text", "template"])]
    pub(crate) caption: Option<String>,
    /// Send this approved template
    #[arg(long, value_name = "NAME")]
    pub(crate) template: Option<String>,
    /// The template's language
    #[arg(long, value_name = "CODE", default_value = "en_US")]
    pub(crate) language: String,
    /// Value of the next variable in the template's body; repeat it for each
    #[arg(long = "param", value_name = "TEXT", conflicts_with_all = ["text", "image"])]
    pub(crate) params: Vec<String>,
    /// Link to the image of the template's header
    #[arg(long, value_name = "LINK", conflicts_with_all = ["text", "image"])]
    pub(crate) header_image: Option<String>,
    /// Your own value: comes back in the message's events
    #[arg(long, value_name = "TEXT")]
    pub(crate) reference: Option<String>,
}
