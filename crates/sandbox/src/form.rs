//! Multipart bodies of management calls (flows): short fields as parameters, one file as bytes.
//! Media uploads are streamed elsewhere.

use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use multer::{Constraints, Field, Multipart, SizeLimit};
use serde_json::{Map, Value};

use crate::call::Call;
use crate::errors::{Answer, GraphError};

/// The file of a form: the JSON of a flow.
pub const FORM_FILE_MAX_BYTES: u64 = 10 * 1_048_576;
/// Bytes of a field that is not the file.
const FIELD_MAX_BYTES: u64 = 65_536;
/// The whole form.
const FORM_MAX_BYTES: u64 = FORM_FILE_MAX_BYTES + 1_048_576;
/// Fields of one form.
const FIELDS_MAX: usize = 50;

/// What a call brought, by whatever encoding.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(crate) parameters: Map<String, Value>,
    /// The part named `file`.
    pub(crate) file: Option<Bytes>,
}

impl Call {
    /// The members of the body, be it JSON, a form or multipart, and of the query together.
    pub(crate) async fn form(&mut self) -> Answer<Form> {
        let content_type = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let Ok(boundary) = multer::parse_boundary(content_type.unwrap_or("")) else {
            return Ok(Form { parameters: self.parameters().await?, file: None });
        };
        let query = self.query.iter().map(|(k, v)| (k.clone(), Value::from(v.clone())));
        let mut form = Form { parameters: query.collect(), file: None };
        let body = std::mem::replace(&mut self.body, Body::empty());
        let limits = SizeLimit::new().whole_stream(FORM_MAX_BYTES).per_field(FIELD_MAX_BYTES);
        let limits = Constraints::new().size_limit(limits.for_field("file", FORM_FILE_MAX_BYTES));
        let mut multipart = Multipart::with_constraints(body.into_data_stream(), boundary, limits);
        let mut fields = 0;
        while let Some(field) = multipart.next_field().await.map_err(|error| malformed(&error))? {
            fields += 1;
            if fields > FIELDS_MAX {
                return Err(GraphError::parameter("The form has too many fields."));
            }
            form.take(field).await?;
        }
        Ok(form)
    }
}

impl Form {
    async fn take(&mut self, field: Field<'_>) -> Answer<()> {
        let Some(name) = field.name().map(str::to_owned) else { return Ok(()) };
        if name == "file" {
            self.file = Some(field.bytes().await.map_err(|error| malformed(&error))?);
            return Ok(());
        }
        let text = field.text().await.map_err(|error| malformed(&error))?;
        self.parameters.insert(name, crate::call::form_value(&text));
        Ok(())
    }
}

fn malformed(error: &multer::Error) -> GraphError {
    match error {
        multer::Error::FieldSizeExceeded { .. } | multer::Error::StreamSizeExceeded { .. } => {
            GraphError::too_large()
        }
        _ => GraphError::parameter("The multipart body is malformed."),
    }
}
