//! The schemas of failures, under the names generated clients know from FastAPI, and what every operation
//! documents besides its own answers.

use std::collections::BTreeMap;

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, Object, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Flow, OAuth2, Password, Scopes, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{OpenApi, RefOr};
use utoipa::{IntoResponses, OpenApi as _, ToSchema};

/// Name of the security scheme; FastAPI calls it after its class.
pub const SECURITY_SCHEME: &str = "OAuth2PasswordBearer";
/// Name of the scheme of machines.
pub const KEY_SCHEME: &str = "ApiKey";
/// Where a token is got.
pub const TOKEN_URL: &str = "/api/auth/token";

/// A failure other than 422.
#[derive(ToSchema)]
#[schema(title = "HTTPError")]
pub struct HTTPError {
    /// What went wrong, for a person.
    pub detail: String,
}

/// The body of a 422.
#[derive(ToSchema)]
#[schema(title = "HTTPValidationError")]
pub struct HTTPValidationError {
    /// One entry for every field at fault.
    #[schema(required = false)]
    pub detail: Vec<ValidationError>,
}

/// One field at fault.
#[derive(ToSchema)]
#[schema(title = "ValidationError")]
pub struct ValidationError {
    /// Where.
    #[schema(schema_with = location)]
    pub loc: (),
    /// What, for a person.
    pub msg: String,
    /// What, for a program.
    #[schema(rename = "type")]
    pub kind: String,
}

fn location() -> ArrayBuilder {
    let step =
        AnyOfBuilder::new().item(Object::with_type(Type::String)).item(Object::with_type(Type::Integer));
    ArrayBuilder::new().items(step).title(Some("Location"))
}

/// Failures any operation can answer with; usable on its own as `responses(Failures)`.
#[derive(IntoResponses)]
#[allow(dead_code)] // read by the derive only
pub enum Failures {
    /// Not authenticated
    #[response(status = 401)]
    Unauthorized(HTTPError),
    /// Not enough permissions
    #[response(status = 403)]
    Forbidden(HTTPError),
    /// Not found
    #[response(status = 404)]
    NotFound(HTTPError),
    /// Method not allowed
    #[response(status = 405)]
    MethodNotAllowed(HTTPError),
    /// The state forbids it
    #[response(status = 409)]
    Conflict(HTTPError),
    /// Request body too large
    #[response(status = 413)]
    TooLarge(HTTPError),
    /// Validation Error
    #[response(status = 422)]
    Unprocessable(HTTPValidationError),
    /// Too many requests
    #[response(status = 429)]
    TooManyRequests(HTTPError),
    /// Service unavailable
    #[response(status = 503)]
    Unavailable(HTTPError),
}

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(HTTPError, HTTPValidationError, ValidationError)))]
struct FailureSchemas;

/// Completes a document collected from the routes: failures, security and operation ids.
///
/// What a route wrote itself stays: its own 404, its own operation id, `security(())` for a public route.
pub fn complete(mut document: OpenApi) -> OpenApi {
    document.merge(FailureSchemas::openapi());
    let token = Flow::Password(Password::new(TOKEN_URL, Scopes::new()));
    let scheme = SecurityScheme::OAuth2(OAuth2::new([token]));
    document.components.get_or_insert_default().add_security_scheme(SECURITY_SCHEME, scheme);
    let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key")));
    document.components.get_or_insert_default().add_security_scheme(KEY_SCHEME, key);
    let failures = Failures::responses();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            complete_operation(operation, path, method, &failures);
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let slots = [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("put", &mut item.put),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ];
    slots.into_iter().filter_map(|(method, slot)| slot.as_mut().map(|operation| (method, operation)))
}

fn complete_operation(
    operation: &mut Operation,
    path: &str,
    method: &str,
    failures: &BTreeMap<String, RefOr<Response>>,
) {
    let has_body = operation.request_body.is_some();
    for (status, response) in failures {
        let applies = match status.as_str() {
            "409" => method != "get",
            "413" => has_body,
            _ => true,
        };
        if applies {
            operation.responses.responses.entry(status.clone()).or_insert_with(|| response.clone());
        }
    }
    let scopes: [&str; 0] = [];
    operation.security.get_or_insert_with(|| vec![SecurityRequirement::new(SECURITY_SCHEME, scopes)]);
    let name = operation.operation_id.take().unwrap_or_default();
    operation.operation_id = Some(operation_id(name, path, method));
}

/// FastAPI's form, `get_lab_order_api_lab_orders__order_id__get`: client generators make method names of it.
/// An id that already ends in its method was written by hand and stays.
fn operation_id(name: String, path: &str, method: &str) -> String {
    if name.ends_with(&format!("_{method}")) {
        return name;
    }
    let path: String = path.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    format!("{name}{path}_{method}")
}

/// Documents `paths` with a trailing slash, as FastAPI spells its collections: clients generated from its
/// document name their routes so. Both spellings are answered.
pub fn spell_with_slash(document: &mut OpenApi, paths: &[&str]) {
    let spelt = std::mem::take(&mut document.paths.paths).into_iter().map(|(path, item)| {
        let path = if paths.contains(&path.as_str()) { path + "/" } else { path };
        (path, item)
    });
    document.paths.paths = spelt.collect();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};
    use utoipa_axum::{router::OpenApiRouter, routes};

    use super::*;

    #[utoipa::path(get, path = "/api/things/{id}", params(("id" = i64, Path)), responses((status = 404, description = "No such thing")))]
    async fn read_thing() {}

    #[utoipa::path(post, path = "/api/things", request_body = String, operation_id = "make_post", security(()))]
    async fn make() {}

    fn document() -> Value {
        let (_, api) = OpenApiRouter::<()>::default()
            .routes(routes!(read_thing))
            .routes(routes!(make))
            .split_for_parts();
        let mut api = complete(api);
        spell_with_slash(&mut api, &["/api/things"]);
        serde_json::to_value(api).unwrap()
    }

    #[test]
    fn every_operation_tells_how_it_can_fail() {
        let document = document();
        let read = &document["paths"]["/api/things/{id}"]["get"];
        let statuses: Vec<_> = read["responses"].as_object().unwrap().keys().collect();
        assert_eq!(statuses, ["401", "403", "404", "405", "422", "429", "503"]);
        assert_eq!(read["responses"]["404"]["description"], "No such thing");
        assert_eq!(
            read["responses"]["422"]["content"]["application/json"]["schema"]["$ref"],
            "#/components/schemas/HTTPValidationError"
        );
        let make = &document["paths"]["/api/things/"]["post"];
        let statuses: Vec<_> = make["responses"].as_object().unwrap().keys().collect();
        assert_eq!(statuses, ["401", "403", "404", "405", "409", "413", "422", "429", "503"]);
    }

    #[test]
    fn ids_and_security_follow_fastapi() {
        let document = document();
        let read = &document["paths"]["/api/things/{id}"]["get"];
        assert_eq!(read["operationId"], "read_thing_api_things__id__get");
        assert_eq!(read["security"], json!([{ "OAuth2PasswordBearer": [] }]));
        let make = &document["paths"]["/api/things/"]["post"];
        assert_eq!(make["operationId"], "make_post");
        assert_eq!(make["security"], json!([{}]));
        assert_eq!(
            document["components"]["securitySchemes"]["OAuth2PasswordBearer"],
            json!({"type": "oauth2", "flows": {"password": {"tokenUrl": "/api/auth/token", "scopes": {}}}})
        );
    }

    #[test]
    fn failure_schemas_have_fastapis_shape() {
        let schemas = &document()["components"]["schemas"];
        let error = &schemas["ValidationError"];
        assert_eq!(error["required"], json!(["loc", "msg", "type"]));
        assert_eq!(
            error["properties"]["loc"]["items"],
            json!({"anyOf": [{"type": "string"}, {"type": "integer"}]})
        );
        assert_eq!(error["properties"]["type"]["type"], "string");
        assert_eq!(
            schemas["HTTPValidationError"]["properties"]["detail"]["items"]["$ref"],
            "#/components/schemas/ValidationError"
        );
        assert!(schemas["HTTPValidationError"].get("required").is_none());
    }
}
