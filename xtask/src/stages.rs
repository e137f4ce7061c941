//! Named stages of a task: the first that fails ends it, and a summary tells how long each took.

use std::time::{Duration, Instant};

use anyhow::Result;

/// What has been done so far.
#[derive(Default)]
pub(crate) struct Stages {
    done: Vec<(String, Duration, String)>,
}

impl Stages {
    /// Does one stage; what it answers goes into the summary.
    ///
    /// # Errors
    /// What the stage failed with, with the stage's name.
    pub(crate) fn run(&mut self, name: &str, stage: impl FnOnce() -> Result<String>) -> Result<()> {
        println!("\n== {name}");
        let started = Instant::now();
        match stage() {
            Ok(outcome) => {
                self.done.push((name.to_owned(), started.elapsed(), outcome));
                Ok(())
            }
            Err(error) => {
                self.print_summary();
                println!("  FAILED  {name} after {}", seconds(started.elapsed()));
                Err(error.context(format!("stage `{name}` failed")))
            }
        }
    }

    /// Prints a line for each stage.
    pub(crate) fn print_summary(&self) {
        println!("\n== summary");
        for (name, took, outcome) in &self.done {
            println!("  ok      {name:<28} {:>8}  {outcome}", seconds(*took));
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::Stages;

    #[test]
    fn a_stage_that_fails_is_named() {
        let mut stages = Stages::default();
        stages.run("first", || Ok(String::new())).unwrap();
        let error = stages.run("second", || bail!("it broke")).unwrap_err();
        assert_eq!(format!("{error:#}"), "stage `second` failed: it broke");
    }
}
