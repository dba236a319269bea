//! Counts, costs and errors as origins put them into streams.

use super::*;

#[test]
fn an_origin_s_own_cost_stands_beside_ours() {
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"cost\":0.5}}\n\n";
    let (out, ..) = each_cut(&[FINISH, usage, DONE].concat(), true, true);
    let expected = usage.replace("\"cost\":0.5", "\"cost\":0.000003,\"upstream_cost\":0.5");
    assert_eq!(out, [FINISH, &expected, DONE].concat());
}

#[test]
fn counts_only_grow() {
    let zeros = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}}\n\n";
    let (out, _, seen) = each_cut(&[CONTENT, FINISH, USAGE, zeros, DONE].concat(), false, true);
    let counts = seen.usage.unwrap();
    assert_eq!((counts.usage.prompt, counts.usage.completion, counts.inferred), (4, 2, false));
    assert_eq!(out, [CONTENT, FINISH, DONE].concat(), "what was not asked for is dropped, zeros too");
}

#[test]
fn counts_at_another_place_are_told_to_who_asked() {
    let finish = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\",\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}]}\n\n";
    let (out, _, seen) = each_cut(&[CONTENT, finish, DONE].concat(), false, true);
    assert_eq!((out, seen.usage.is_some()), ([CONTENT, finish, DONE].concat(), true));
    let (out, ..) = each_cut(&[CONTENT, finish, DONE].concat(), true, true);
    assert!(
        out.contains("data: {\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"total_tokens\":6,"),
        "{out}"
    );
}

#[test]
fn foreign_errors_within_a_stream() {
    for (error, message, passes) in [
        ("data: {\"object\":\"error\",\"message\":\"boom\",\"code\":500}\n\n", "boom", false),
        ("data: {\"error\":\"boom\"}\n\n", "boom", false),
        (
            "data: {\"id\":\"1\",\"choices\":[{\"delta\":{},\"finish_reason\":\"error\",\"error\":{\"code\":502,\"message\":\"boom\"}}]}\n\n",
            "boom",
            false,
        ),
        ("data: {\"detail\":\"boom\"}\n\n", "boom", false),
        ("data: [{\"error\":{\"message\":\"boom\"}}]\n\n", "boom", false),
        ("event: error\ndata: {\"message\":\"boom\"}\n\n", "boom", false),
        (
            "data: {\"id\":\"1\",\"error\":{\"message\":\"boom\",\"code\":429},\"choices\":[{\"finish_reason\":\"error\"}]}\n\n",
            "boom",
            true,
        ),
    ] {
        let (out, ending, seen) = each_cut(&[CONTENT, error, DONE].concat(), false, true);
        assert_eq!((ending, seen.error), (Ending::Error, true), "{error}");
        assert!(out.contains("{\"error\":{\"message\":\"") || passes, "{out}");
        assert!(out.contains(message) && !out.contains("[DONE]"), "{out}");
        assert_eq!(out == [CONTENT, error].concat(), passes, "{out}");
        let (_, ending, _) = each_cut(&[error, DONE].concat(), false, true);
        assert_eq!(ending, Ending::Error, "{error}");
    }
}

#[test]
fn content_that_looks_like_one_of_them_is_none() {
    for text in ["error", "usage", "\\\"error\\\":1", "finish_reason"] {
        let content = CONTENT.replace("usage ", text);
        let (out, ending, seen) = each_cut(&[&content, FINISH, DONE].concat(), false, true);
        assert_eq!((out, ending), ([&content, FINISH, DONE].concat(), Ending::Complete));
        assert_eq!((seen.error, seen.usage, seen.events), (false, None, 1));
    }
}
