//! The engine's port for webhooks, over [`Verifier`] and [`parse`].

use waypost_domain::Phone;
use waypost_domain::event::TemplateDetail;
use waypost_engine::ports::{Inbound, StatusNotice, UpstreamEvent, WebhookCodec};

use super::{Event, Verifier, parse};

/// Checks and reads Meta's webhooks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Codec;

impl WebhookCodec for Codec {
    fn verify(&self, body: &[u8], signature: &str, secrets: &[String]) -> bool {
        Verifier::new(secrets).verify(signature, body).is_ok()
    }

    fn parse(&self, body: &[u8]) -> Vec<UpstreamEvent> {
        parse(body).unwrap_or_default().into_iter().map(upstream_event).collect()
    }
}

fn upstream_event(event: Event) -> UpstreamEvent {
    match event {
        Event::Inbound(inbound) => {
            let scoped = inbound.user_id.as_deref().and_then(Phone::business_scoped);
            UpstreamEvent::Inbound(Inbound {
                phone_number_id: inbound.phone_number_id,
                phone: inbound.from.or_else(|| scoped.clone()),
                user_id: scoped,
                profile_name: inbound.profile_name,
                wamid: inbound.wamid,
                kind: inbound.kind,
                message: inbound.message,
                written_at: inbound.written_at,
            })
        }
        Event::Status(status) => UpstreamEvent::Status(StatusNotice {
            phone_number_id: status.phone_number_id,
            wamid: status.wamid,
            opaque: status.opaque,
            report: status.report,
            at: status.at,
            failure: status.failure,
            extra: status.extra,
        }),
        Event::Template(template) => UpstreamEvent::Template {
            template: TemplateDetail {
                id: template.id,
                name: template.name,
                language: template.language,
                status: template.status,
                reason: template.reason,
                waba_id: template.waba_id,
            },
            at: template.at,
        },
        Event::Notice(notice) => UpstreamEvent::Notice(notice),
        Event::Other { waba_id, field, .. } => UpstreamEvent::Other { waba_id, field },
    }
}
