//! Where it is kept what is told of the calls to the upstream.

use async_trait::async_trait;
use waypost_domain::AttemptId;
use waypost_domain::call::Call;

use super::StoreResult;

/// What is told of one attempt's call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptCall {
    /// The attempt.
    pub attempt_id: AttemptId,
    /// Its call.
    pub call: Call,
}

/// Keeps calls. They belong to attempts and go with them.
#[async_trait]
pub trait CallStore: Send + Sync {
    /// Keeps several; one that is kept already stays as it is.
    async fn note_calls(&self, calls: Vec<AttemptCall>) -> StoreResult<()>;
}
