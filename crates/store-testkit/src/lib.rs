//! What every store must do, as tests that know no engine: a store's own tests name it in
//! [`conformance!`] and get one test for each behaviour. What only one engine can do (locks, disk
//! faults, group commit) is tested beside that engine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "an expectation that fails is what this crate is for, and the names say what is expected"
)]

pub mod acceptance;
pub mod attempts;
pub mod backups;
pub mod broadcasts;
pub mod callbacks;
pub mod creations;
pub mod customers;
pub mod directory;
pub mod events;
pub mod flows;
pub mod inbox;
pub mod lists;
pub mod media;
pub mod notices;
pub mod pacing;
pub mod queue;
pub mod recovery;
pub mod reports;
pub mod retention;
pub mod samples;
pub mod unknowns;

use std::sync::Arc;

use async_trait::async_trait;
use waypost_engine::ports::Store;

/// Gives stores to the tests.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Opens the store: empty the first time, and with what was recorded before afterwards. The
    /// one that was opened before has been dropped.
    async fn open(&self) -> Arc<dyn Store>;
}

/// Makes one test for each behaviour. The expression is evaluated for each test and gives a
/// [`Harness`] of its own.
#[macro_export]
macro_rules! conformance {
    ($harness:expr) => {
        $crate::conformance_of!(
            $harness,
            directory,
            [
                entries_come_back_in_the_order_of_creation,
                an_entry_is_created_once_and_replaced_only_where_it_exists,
                keys_that_must_be_unique_are_named_in_the_conflict,
                what_belongs_to_an_unknown_organisation_is_not_found,
                a_removed_entry_is_gone_and_may_be_made_again,
                a_number_stays_while_messages_need_it,
                a_number_that_went_with_its_organisation_is_told_while_others_need_it,
                removing_an_organisation_removes_everything_of_it,
                nothing_of_a_removed_organisation_is_sent,
                settings_are_kept_and_replaced,
                templates_of_an_account_become_exactly_those_given,
            ]
        );
        $crate::conformance_of!(
            $harness,
            customers,
            [
                a_customer_comes_back_as_it_was_recorded,
                id_and_phone_are_unique_within_an_organisation,
                a_change_keeps_the_place_in_the_order,
                a_change_undoes_none_that_came_before_it,
                an_import_adds_and_updates_by_the_id_given_or_by_number,
                an_import_that_is_repeated_adds_nobody,
                what_an_import_does_not_state_stays,
                an_import_leaves_out_whose_number_belongs_to_another_id,
                filters_and_pages_follow_the_order_of_registration,
                an_audience_leaves_out_who_must_not_be_written_to,
                consents_are_recorded_where_they_are_new,
                consents_are_recorded_together_or_not_at_all,
                a_deleted_customer_leaves_its_messages_in_the_log,
                an_opt_out_outlives_its_customer,
                the_opt_out_of_a_deleted_customer_goes_with_the_organisation,
            ]
        );
        $crate::conformance_of!(
            $harness,
            acceptance,
            [
                an_accepted_message_survives_a_reopening,
                an_unknown_organisation_or_number_is_not_found,
                the_same_id_is_not_accepted_twice,
                a_claimed_key_is_replayed_with_its_fingerprint_and_target,
                keys_of_other_organisations_and_routes_are_independent,
                of_64_parallel_claims_exactly_one_is_new,
                a_claim_older_than_a_week_may_be_made_anew,
                a_refusal_frees_the_key_and_a_success_does_not,
                old_keys_are_forgotten,
                a_failed_accept_leaves_nothing_behind,
                messages_of_one_request_are_accepted_together,
                of_a_request_that_cannot_be_recorded_nothing_stays,
                a_refusal_frees_the_key_of_a_request_for_one_message,
                a_message_that_failed_at_its_acceptance_is_never_due,
                a_store_that_keeps_up_turns_nothing_away,
            ]
        );
        $crate::conformance_of!(
            $harness,
            creations,
            [
                what_is_made_with_a_key_is_found_by_it_after_a_reopening,
                of_64_parallel_creations_with_a_key_one_is_made,
                keys_of_creations_do_not_displace_one_another,
                what_cannot_be_made_leaves_its_key_free,
                the_key_of_what_is_gone_may_be_claimed_once_more,
                the_key_of_a_creation_is_free_after_a_week,
                keys_of_creations_are_forgotten_and_go_with_their_organisation,
            ]
        );
        $crate::conformance_of!(
            $harness,
            attempts,
            [
                an_attempt_takes_the_message_off_the_queue_once,
                a_sent_attempt_settles_the_message,
                a_retry_waits_in_the_queue_until_it_is_due,
                how_a_message_has_been_failing_is_kept_until_somebody_sends_it_again,
                a_held_message_is_attempted_by_its_caller_only,
                a_refusal_fails_the_message,
                an_unknown_outcome_settles_nothing_and_never_overwrites_sent,
                a_late_receipt_settles_an_unknown_outcome,
                a_late_failure_does_not_overwrite_a_report,
                every_attempt_is_in_the_history,
                settling_what_does_not_exist_is_not_found,
            ]
        );
        $crate::conformance_of!(
            $harness,
            reports,
            [
                statuses_in_any_order_end_at_the_highest,
                a_repeated_report_is_kept_once,
                what_is_told_in_whole_seconds_lies_before_nothing_of_its_second,
                a_status_names_the_id_of_a_person_who_wrote_with_a_number,
                a_report_before_the_receipt_is_parked_and_matched,
                a_report_for_one_number_leaves_messages_of_others_alone,
                a_report_for_one_number_binds_no_token_of_another,
                a_report_for_one_number_waits_for_a_message_of_that_number,
                a_token_binds_the_wamid_to_its_message,
                a_token_settles_an_unknown_outcome_and_cancels_a_resend,
                a_failure_of_an_earlier_sending_does_not_fail_the_later,
                a_failed_message_that_is_sent_again_starts_anew,
                an_earlier_attempt_that_proves_sent_outweighs_a_later_refusal,
                an_earlier_sendings_failure_is_the_last_word_after_a_refusal,
                an_early_failure_of_a_later_sending_outlasts_its_receipt,
                a_receipt_after_a_bound_report_adds_only_what_is_missing,
                reports_are_not_matched_to_inbound_messages,
                an_unknown_outcome_is_told_once_as_a_failure,
            ]
        );
        $crate::conformance_of!(
            $harness,
            queue,
            [
                due_messages_come_by_priority_then_acceptance,
                a_retried_message_keeps_its_place,
                what_is_not_due_yet_waits,
                numbers_have_queues_of_their_own,
                a_cancelled_message_is_not_attempted,
                a_failed_queued_message_frees_its_key,
                a_message_between_two_attempts_of_its_caller_can_fail,
                only_ended_messages_are_queued_again,
                what_was_sent_is_not_queued_again,
                what_is_queued_again_takes_its_key_back_unless_another_has_it,
                a_key_never_stands_for_what_was_made_with_another_body,
            ]
        );
        $crate::conformance_of!(
            $harness,
            pacing,
            [
                places_come_in_order_and_a_look_may_stop_before_one,
                organisations_that_share_a_number_have_equal_parts,
                what_waits_is_told_without_its_content,
                what_is_put_off_falls_due_later_and_keeps_its_place,
                what_was_put_off_is_known_after_a_reopening,
                what_was_put_off_for_a_person_is_known_in_order,
                what_stands_before_somebody_who_comes_now_is_counted,
                what_is_held_is_let_go_in_order_when_its_person_writes,
                what_is_held_is_let_go_in_order_when_its_person_opts_out,
                who_wrote_meanwhile_is_not_waited_for,
                only_the_first_that_is_held_sends_something_ahead,
                what_is_held_can_be_withdrawn_and_given_up,
                a_window_lets_go_what_is_held_for_its_organisation_and_number,
                what_stands_in_the_queue_may_be_held_before_its_turn,
                caps_are_kept_until_they_end,
                who_got_templates_outside_of_windows_is_known,
            ]
        );
        $crate::conformance_of!(
            $harness,
            broadcasts,
            [
                a_prepared_broadcast_is_not_seen_and_not_due,
                a_started_broadcast_is_due_in_the_order_of_its_members,
                members_have_the_models_content,
                single_messages_go_before_broadcasts,
                a_paused_broadcast_has_nothing_due_until_it_is_resumed,
                a_cancelled_broadcast_withdraws_what_waits,
                progress_counts_messages_by_status,
                a_discarded_broadcast_frees_its_key,
                a_members_retry_waits_until_it_is_due,
                a_thousand_members_are_accepted_in_parts,
                a_key_stands_for_its_broadcast,
            ]
        );
        $crate::conformance_of!(
            $harness,
            inbox,
            [
                webhooks_wait_in_order_until_they_are_closed,
                a_webhook_is_kept_with_its_signer,
                an_inbound_message_makes_the_customer_and_opens_the_window,
                an_inbound_message_finds_the_customer_who_is_known,
                an_hour_that_is_still_to_come_opens_the_window_from_now,
                an_inbound_message_is_recorded_once,
                an_older_message_does_not_move_the_window_back,
                a_window_can_be_renewed_without_a_message,
                inbound_files_are_fetched_once,
                a_person_is_heard_by_the_organisation_last_joined,
                who_joined_a_removed_organisation_is_heard_by_the_owner,
            ]
        );
        $crate::conformance_of!(
            $harness,
            media,
            [
                a_file_is_found_by_id_and_by_public_name_until_it_expires,
                files_are_listed_in_the_order_of_upload,
                the_last_record_of_a_content_tells_so,
                an_upload_is_claimed_like_a_message,
                the_upstreams_copy_is_per_content_type_and_number,
            ]
        );
        $crate::conformance_of!(
            $harness,
            flows,
            [
                a_form_gets_a_number_of_the_installation,
                a_known_form_keeps_its_number_and_its_birthday,
                a_form_is_found_by_each_of_its_names,
                forms_are_listed_by_number_and_bounded,
                forms_go_with_their_organisation,
            ]
        );
        $crate::conformance_of!(
            $harness,
            notices,
            [
                a_notice_is_recorded_and_nobody_wrote,
                what_a_person_said_holds_for_the_number_they_change_to,
                what_was_said_under_the_new_number_stands,
            ]
        );
        $crate::conformance_of!(
            $harness,
            lists,
            [
                pages_cover_the_log_without_gaps_in_both_directions,
                every_filter_picks_its_messages,
                a_customers_messages_are_found_after_its_number_changed,
                foreign_messages_are_not_seen,
                sessions_are_listed_with_their_customers,
                recipients_come_with_their_window,
                who_is_written_to_by_an_id_is_who_wrote_with_a_number,
                an_opt_out_holds_by_whatever_name_a_person_is_written_to,
                the_log_is_paged_newest_first_with_its_total,
                people_are_looked_up_together_in_the_order_asked,
            ]
        );
        $crate::conformance_of!(
            $harness,
            events,
            [
                every_status_that_is_told_is_one_event,
                what_a_report_says_besides_is_kept_also_where_it_was_parked,
                what_a_report_says_besides_is_kept_where_no_event_tells_it,
                an_event_tells_of_the_sending_that_it_happened_to,
                a_message_accepted_as_failed_is_an_event,
                what_people_write_is_an_event_with_what_it_answers,
                a_file_is_waited_for_until_it_is_attached,
                heads_say_for_whom_an_event_is,
                an_event_is_found_by_its_id_within_its_organisation,
                event_lists_filter_and_page,
                a_changed_template_is_told_once_to_each_organisation,
                what_is_passed_on_is_told_once_to_each_organisation,
                places_are_never_used_again,
                events_of_a_removed_organisation_are_passed_over,
                events_of_a_deleted_message_never_show_another_one,
                events_at_their_places_come_back_in_order,
            ]
        );
        $crate::conformance_of!(
            $harness,
            callbacks,
            [
                callbacks_and_their_mark_are_recorded_together,
                one_organisations_many_targets_hide_no_others,
                what_is_delivered_is_forgotten_and_what_is_dead_is_kept,
                a_later_callback_waits_for_the_first_repetition_only,
                a_callback_exists_once_and_a_dead_one_is_made_anew,
                what_waits_to_be_repeated_is_made_anew_at_once_by_a_replay,
                how_webhooks_do_is_known_whatever_servers_requests_named,
                dead_callbacks_are_revived_oldest_first,
                dead_callbacks_are_revived_by_address_message_and_event,
                what_is_older_than_its_schedule_is_given_up,
                callback_lists_filter_and_keep_events_whole,
                a_callback_waits_for_its_file_and_no_longer,
                each_callback_waits_for_its_own_file,
                what_waits_behind_a_callback_goes_on_when_that_one_ends,
                a_webhook_goes_with_its_callbacks,
                servers_that_requests_named_are_forgotten_with_their_events,
            ]
        );
        $crate::conformance_of!(
            $harness,
            retention,
            [
                ended_messages_go_with_everything_of_theirs,
                what_may_still_be_sent_stays_whatever_its_age,
                what_is_told_of_calls_goes_with_its_message,
                keys_go_before_what_they_stand_for,
                events_go_with_age_and_only_once_told,
                what_was_never_matched_goes_with_age,
                what_a_removed_organisation_leaves_is_deleted_in_steps,
                old_files_and_contents_in_use_are_told,
                queues_are_counted_by_what_they_wait_for,
            ]
        );
        $crate::conformance_of!(
            $harness,
            unknowns,
            [
                an_unknown_message_is_queued_at_its_instant_and_no_sooner,
                the_next_resend_is_known_and_kept,
                a_cancelled_resend_leaves_its_message_unknown,
                a_repetition_is_flagged_when_it_begins,
                a_status_takes_the_resend_away,
                a_resend_ends_with_its_messages_life,
                resends_are_put_off_and_wait_anew_after_a_start,
                after_a_crash_each_message_has_its_policys_instant,
                what_may_have_been_sent_never_ends_as_failed,
                one_that_waits_when_it_is_overdue_is_told_when_it_ends,
                several_are_queued_again_or_withdrawn_together,
                a_message_that_is_queued_again_gets_a_new_life_only_where_nobody_named_its_end,
                messages_are_found_by_their_error,
            ]
        );
        $crate::conformance_of!(
            $harness,
            recovery,
            [
                an_open_intent_becomes_unknown,
                an_unattempted_synchronous_message_is_closed_and_frees_its_key,
                a_held_asynchronous_message_is_queued_again,
                queued_messages_stay_queued_and_are_counted,
                a_broadcast_in_preparation_is_removed,
                recovering_twice_changes_nothing,
            ]
        );
    };
}

#[doc(hidden)]
/// The same for copies of what is kept: a store in memory has none.
#[macro_export]
macro_rules! conformance_of_backups {
    ($harness:expr) => {
        $crate::conformance_of!(
            $harness,
            backups,
            [
                a_copy_names_each_content_once_and_in_order,
                copies_are_whole_while_others_write,
                a_store_that_was_never_restored_holds_nothing_back,
            ]
        );
    };
}

#[macro_export]
macro_rules! conformance_of {
    ($harness:expr, $subject:ident, [$($behaviour:ident),+ $(,)?]) => {
        mod $subject {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    let harness = $harness;
                    $crate::$subject::$behaviour(&harness).await;
                }
            )+
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_behaviour_is_listed() {
        let listed = include_str!("lib.rs");
        for source in [
            include_str!("acceptance.rs"),
            include_str!("attempts.rs"),
            include_str!("backups.rs"),
            include_str!("broadcasts.rs"),
            include_str!("callbacks.rs"),
            include_str!("customers.rs"),
            include_str!("directory.rs"),
            include_str!("events.rs"),
            include_str!("flows.rs"),
            include_str!("inbox.rs"),
            include_str!("lists.rs"),
            include_str!("media.rs"),
            include_str!("pacing.rs"),
            include_str!("queue.rs"),
            include_str!("recovery.rs"),
            include_str!("reports.rs"),
            include_str!("retention.rs"),
        ] {
            for rest in source.split("pub async fn ").skip(1) {
                let (name, rest) = rest.split_once('(').unwrap();
                // What returns something is for other tests to use.
                if rest.split_once('{').unwrap().0.contains("->") {
                    continue;
                }
                assert!(listed.contains(&format!("{name},")), "{name} is never run");
            }
        }
    }
}
