//! A Kubernetes API server as a map: the requests of the controller, without a network. It stores objects unchanged.
//! Only the real server has defaults, schemas and permissions, and other tests cover those.

#![allow(
    clippy::indexing_slicing,
    reason = "of JSON that this module made, and a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use streamrole::api::KINDS;
use tokio::sync::broadcast;

/// A cluster in memory. Clones are the same cluster.
#[derive(Clone)]
pub struct MemoryCluster {
    state: Arc<Mutex<State>>,
    changes: broadcast::Sender<Value>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<Key, Value>,
    events: Vec<Value>,
    version: u64,
    uids: u64,
    /// The number of status writes.
    status_writes: usize,
}

/// Kind, namespace and name.
type Key = (String, String, String);

type Answered = Response<UnsyncBoxBody<Bytes, Infallible>>;

impl Default for MemoryCluster {
    fn default() -> Self {
        Self { state: Arc::default(), changes: broadcast::Sender::new(1024) }
    }
}

impl MemoryCluster {
    /// A client for this cluster.
    #[must_use]
    pub fn client(&self) -> Client {
        let cluster = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let cluster = cluster.clone();
            async move { Ok::<_, Infallible>(cluster.answer(request).await) }
        });
        Client::new(service, "default")
    }

    /// Creates the object, or changes its spec.
    pub fn apply(&self, kind: &str, namespace: &str, name: &str, spec: &Value) {
        let mut state = self.lock();
        let key = key(kind, namespace, name);
        if let Some(mut object) = state.objects.get(&key).cloned() {
            if object["spec"] != *spec {
                object["spec"] = spec.clone();
                bump_generation(&mut object);
                self.store(&mut state, object, "MODIFIED");
            }
            return;
        }
        state.uids += 1;
        let object = json!({
            "apiVersion": "streamrole.dev/v1alpha1",
            "kind": kind,
            "metadata": {
                "name": name, "namespace": namespace, "uid": format!("uid-{}", state.uids), "generation": 1,
                "creationTimestamp": format!("2026-11-25T00:{:02}:00Z", state.uids),
            },
            "spec": spec,
            "status": {"observedGeneration": -1},
        });
        self.store(&mut state, object, "ADDED");
    }

    /// Sets an annotation, or removes it.
    pub fn annotate(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        key: &str,
        value: Option<&str>,
    ) {
        self.change(kind, namespace, name, |object| match value {
            Some(value) => object["metadata"]["annotations"][key] = value.into(),
            None => {
                if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
                    annotations.remove(key);
                }
            }
        });
    }

    /// Deletes the object. It stays while it has finalizers.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) {
        self.change(kind, namespace, name, |object| {
            object["metadata"]["deletionTimestamp"] = "2026-11-25T01:00:00Z".into();
            bump_generation(object);
        });
    }

    /// Removes the object although it has finalizers.
    pub fn lose(&self, kind: &str, namespace: &str, name: &str) {
        let mut state = self.lock();
        if let Some(mut object) = state.objects.remove(&key(kind, namespace, name)) {
            state.version += 1;
            object["metadata"]["resourceVersion"] = state.version.to_string().into();
            // There may be no watch.
            let _ = self.changes.send(json!({"type": "DELETED", "object": object}));
        }
    }

    /// Changes the object as `change` does, in any way.
    pub fn change(&self, kind: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.lock();
        if let Some(mut object) = state.objects.get(&key(kind, namespace, name)).cloned() {
            change(&mut object);
            self.store(&mut state, object, "MODIFIED");
        }
    }

    /// The object, if it exists.
    #[must_use]
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        self.lock().objects.get(&key(kind, namespace, name)).cloned()
    }

    /// Reasons and notes of the events so far.
    #[must_use]
    pub fn events(&self) -> Vec<(String, String)> {
        let text =
            |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        self.lock()
            .events
            .iter()
            .map(|event| (text(event, "reason"), text(event, "note")))
            .collect()
    }

    /// The number of status writes so far.
    #[must_use]
    pub fn status_writes(&self) -> usize {
        self.lock().status_writes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the object under a new version, unless it is deleted, and notifies the watches.
    fn store(&self, state: &mut State, mut object: Value, type_: &str) -> Value {
        state.version += 1;
        object["metadata"]["resourceVersion"] = state.version.to_string().into();
        let meta = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = (text(&object["kind"]), text(&meta["namespace"]), text(&meta["name"]));
        let has_finalizers = meta["finalizers"].as_array().is_some_and(|all| !all.is_empty());
        let goes = meta.get("deletionTimestamp").is_some() && !has_finalizers;
        if goes {
            state.objects.remove(&key);
        } else {
            state.objects.insert(key, object.clone());
        }
        let type_ = if goes { "DELETED" } else { type_ };
        // There may be no watch yet.
        let _ = self.changes.send(json!({"type": type_, "object": object}));
        object
    }

    async fn answer(&self, request: Request<Body>) -> Answered {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes);
        let body: Value =
            body.ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (parts.method, segments.as_slice()) {
            (Method::GET, ["apis", "streamrole.dev", "v1alpha1", plural]) => {
                self.list(kind_of(plural), None, &query)
            }
            (
                Method::GET,
                ["apis", "streamrole.dev", "v1alpha1", "namespaces", namespace, plural],
            ) => self.list(kind_of(plural), Some(*namespace), &query),
            (
                Method::PATCH,
                ["apis", "streamrole.dev", "v1alpha1", "namespaces", namespace, plural, name],
            ) => self.patch(&key(kind_of(plural), namespace, name), &body),
            (
                Method::PATCH,
                [
                    "apis",
                    "streamrole.dev",
                    "v1alpha1",
                    "namespaces",
                    namespace,
                    plural,
                    name,
                    "status",
                ],
            ) => self.write_status(&key(kind_of(plural), namespace, name), &body),
            (Method::POST, ["apis", "events.k8s.io", "v1", "namespaces", _namespace, "events"]) => {
                self.lock().events.push(body.clone());
                json_answer(StatusCode::CREATED, &body)
            }
            (Method::PATCH, ["apis", "events.k8s.io", ..]) => json_answer(StatusCode::OK, &body),
            (method, _) => {
                failure(StatusCode::NOT_FOUND, &format!("{method} {path} is not served"))
            }
        }
    }

    fn list(&self, kind: &'static str, namespace: Option<&str>, query: &str) -> Answered {
        let namespace = namespace.map(str::to_owned);
        let is_of = move |object: &Value| {
            object["kind"] == kind
                && namespace.as_ref().is_none_or(|of| object["metadata"]["namespace"] == **of)
        };
        if !query.contains("watch=true") {
            let state = self.lock();
            let items: Vec<_> = state.objects.values().filter(|object| is_of(object)).collect();
            let metadata = json!({"resourceVersion": state.version.to_string()});
            return json_answer(StatusCode::OK, &json!({"metadata": metadata, "items": items}));
        }
        let seconds = query.split('&').find_map(|pair| pair.strip_prefix("timeoutSeconds="));
        let length = Duration::from_secs(seconds.and_then(|s| s.parse().ok()).unwrap_or(300));
        let (first, changes) = {
            let state = self.lock();
            // Under the lock, so that nothing is missed or sent twice.
            let changes = self.changes.subscribe();
            let mut first = Vec::new();
            if query.contains("sendInitialEvents=true") {
                first.extend(
                    state
                        .objects
                        .values()
                        .filter(|object| is_of(object))
                        .map(|object| json!({"type": "ADDED", "object": object})),
                );
                first.push(json!({"type": "BOOKMARK", "object": {
                    "apiVersion": "streamrole.dev/v1alpha1", "kind": kind,
                    "metadata": {
                        "resourceVersion": state.version.to_string(),
                        "annotations": {"k8s.io/initial-events-end": "true"},
                    },
                }}));
            }
            (first, changes)
        };
        let later =
            followed(changes).filter(move |change| std::future::ready(is_of(&change["object"])));
        let lines = stream::iter(first)
            .chain(later)
            .take_until(tokio::time::sleep(length))
            .map(|event| Ok(Frame::data(Bytes::from(format!("{event}\n")))));
        Response::new(StreamBody::new(lines).boxed_unsync())
    }

    fn patch(&self, key: &Key, body: &Value) -> Answered {
        let mut state = self.lock();
        let Some(mut object) = state.objects.get(key).cloned() else {
            return failure(StatusCode::NOT_FOUND, "not found");
        };
        let Ok(mut patch) = serde_json::from_value::<json_patch::Patch>(body.clone()) else {
            return failure(StatusCode::UNSUPPORTED_MEDIA_TYPE, "only JSON patches are served");
        };
        // The API server treats an absent value as null.
        patch.0.retain(|operation| match operation {
            json_patch::PatchOperation::Test(test) if test.value.is_null() => {
                object.pointer(test.path.as_str()).is_some()
            }
            _ => true,
        });
        if let Err(error) = json_patch::patch(&mut object, &patch) {
            return failure(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string());
        }
        let stored = self.store(&mut state, object, "MODIFIED");
        json_answer(StatusCode::OK, &stored)
    }

    fn write_status(&self, key: &Key, body: &Value) -> Answered {
        let mut state = self.lock();
        let Some(mut object) = state.objects.get(key).cloned() else {
            return failure(StatusCode::NOT_FOUND, "not found");
        };
        let expected = &body["metadata"]["resourceVersion"];
        if !expected.is_null() && *expected != object["metadata"]["resourceVersion"] {
            return failure(StatusCode::CONFLICT, "the object has been modified");
        }
        state.status_writes += 1;
        object["status"] = body["status"].clone();
        let stored = self.store(&mut state, object, "MODIFIED");
        json_answer(StatusCode::OK, &stored)
    }
}

fn key(kind: &str, namespace: &str, name: &str) -> Key {
    (kind.to_owned(), namespace.to_owned(), name.to_owned())
}

/// The kind with this plural; empty for another, of which there are no objects.
fn kind_of(plural: &str) -> &'static str {
    KINDS.into_iter().find(|kind| kind.plural == plural).map_or("", |kind| kind.name)
}

fn followed(changes: broadcast::Receiver<Value>) -> impl Stream<Item = Value> {
    stream::unfold(changes, |mut changes| async move {
        changes.recv().await.ok().map(|change| (change, changes))
    })
}

fn bump_generation(object: &mut Value) {
    let generation = object["metadata"]["generation"].as_i64().unwrap_or_default();
    object["metadata"]["generation"] = (generation + 1).into();
}

fn json_answer(status: StatusCode, body: &Value) -> Answered {
    let body = Full::new(Bytes::from(body.to_string())).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
}

fn failure(status: StatusCode, message: &str) -> Answered {
    let reason = match status {
        StatusCode::CONFLICT => "Conflict",
        StatusCode::NOT_FOUND => "NotFound",
        _ => "Invalid",
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": status.as_u16(),
    });
    json_answer(status, &body)
}
