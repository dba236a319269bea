//! What a client wishes of where its request goes: an order or a choice among the targets that its routes allow.

use super::{Plan, RouteContext, Target, TargetIndex, estimate};
use crate::dialect::request::Wishes;
use crate::error::ApiError;
use crate::sort::sort_by_key;

impl<'a> Plan<'a> {
    /// Adds the targets of a further model's plan that are not in it yet.
    pub fn follow(&mut self, further: Plan<'a>) {
        for target in further.targets {
            if !self.targets.iter().any(|known| known.index == target.index) {
                self.targets.push(target);
            }
        }
    }

    /// Narrows and orders it. Nothing is added: no wish leads where the routes do not.
    ///
    /// # Errors
    /// 400 where no origin of the plan is among the only ones that are wanted.
    pub fn wish(
        &mut self,
        wishes: &Wishes,
        context: &RouteContext<'_>,
        is_open: &dyn Fn(TargetIndex) -> bool,
    ) -> Result<(), ApiError> {
        if let Some(only) = &wishes.only {
            let names: Vec<_> = self.targets.iter().map(|target| target.origin.name.as_str()).collect();
            let names = names.join(", ");
            self.targets.retain(|target| only.contains(&target.origin.name));
            if self.targets.is_empty() {
                let message = format!(
                    "`providerOptions.gateway.only` leaves no origin for this model: it may go to {names}"
                );
                return Err(ApiError::invalid(
                    "no_such_origin",
                    Some("providerOptions.gateway.only"),
                    message,
                ));
            }
        }
        let place = |target: &Target<'_>| {
            wishes.order.iter().position(|name| *name == target.origin.name).unwrap_or(usize::MAX)
        };
        let rank = |target: &Target<'_>| match wishes.cheapest {
            true => (is_open(target.index), estimate(context.size, target, context.now_ms)),
            false => (false, 0),
        };
        // It keeps the order of what ranks alike.
        sort_by_key(&mut self.targets, |target| (place(target), rank(target)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan;
    use super::*;
    use crate::config::{Config, authoring};
    use crate::dialect::request::RequestSize;
    use crate::rng::Rng;
    use http::HeaderMap;

    fn config() -> Config {
        let origin = |name: &str, price: &str| {
            format!(
                "[[origins]]\nname = \"{name}\"\nkind = \"openai\"\nurl = \"https://{}.example/v1\"\nsecret = \"{name}\"\n\
                 models = [{{ name = \"m\", input = \"{price}\", output = \"{price}\" }}]\n",
                name.to_lowercase()
            )
        };
        let rest = "[[routes]]\nmodel = \"m\"\nrule = { order = [{ origin = \"A\" }, { origin = \"B\" }, { origin = \"C\" }] }\n\
             [[routes]]\nmodel = \"other\"\norigin = \"D\"\norigin_model = \"m\"\n[[keys]]\nname = \"k\"\nsha256_secret = \"K\"\n";
        let all = [origin("A", "3"), origin("B", "1"), origin("C", "2"), origin("D", "0.5"), rest.to_owned()];
        authoring::parse(&all.concat()).unwrap()
    }

    fn wished(wishes: &Wishes, further: bool) -> Result<String, ApiError> {
        let config = config();
        let headers = HeaderMap::new();
        let context = RouteContext {
            now_ms: 0,
            model: "m",
            key: &config.keys[0],
            stream: false,
            size: RequestSize { body_bytes: 1000, choices: 1, ..RequestSize::default() },
            conversation: b"",
            headers: &headers,
        };
        let is_open = |_: TargetIndex| false;
        let planned =
            |at: usize| plan(&config, &config.routes[at], &context, &is_open, &mut Rng::new([0; 8]), None);
        let mut own = planned(0);
        if further {
            own.follow(planned(1));
            own.follow(planned(0));
        }
        own.wish(wishes, &context, &is_open)?;
        Ok(own.targets.iter().map(|target| target.origin.name.as_str()).collect())
    }

    #[test]
    fn wishes_choose_among_the_plan() {
        let texts = |names: &str| names.chars().map(String::from).collect::<Vec<_>>();
        let usual = Wishes::default();
        for (wishes, further, expected) in [
            (usual.clone(), false, "ABC"),
            (usual.clone(), true, "ABCD"),
            (Wishes { order: texts("CX"), ..usual.clone() }, false, "CAB"),
            (Wishes { order: texts("BA"), ..usual.clone() }, false, "BAC"),
            (Wishes { only: Some(texts("CB")), ..usual.clone() }, false, "BC"),
            (Wishes { only: Some(texts("CB")), order: texts("C"), ..usual.clone() }, false, "CB"),
            (Wishes { cheapest: true, ..usual.clone() }, false, "BCA"),
            (Wishes { cheapest: true, order: texts("A"), ..usual.clone() }, true, "ADBC"),
        ] {
            assert_eq!(wished(&wishes, further).unwrap(), expected, "{wishes:?}");
        }
        let error = wished(&Wishes { only: Some(texts("D")), ..usual }, false).unwrap_err();
        assert_eq!((error.status, error.param.as_deref()), (400, Some("providerOptions.gateway.only")));
        assert!(error.message.contains("A, B, C"), "{}", error.message);
    }
}
