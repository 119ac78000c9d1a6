"""Views that demand more than their route does.

    @require_hardware_proof
    def delete_account(request): ...

    @require_fresh(30)
    def change_password(request): ...

    @require_tier(Tier.AFFIRMING, strict=True)
    async def transfer(request): ...

A decorator never lets in what the route refuses. On a browser or open route it fails closed with a 500 and
`misuse.view_unguarded`: the project's route table and its views disagree. Where the route observes, what it would
refuse is recorded and let through, so that a rehearsal breaks nothing; `strict=True` refuses there, too.
Refusals are answered by the middleware. Put the decorator outermost: what stands above it runs before it.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from asgiref.sync import iscoroutinefunction

from bonafide.django import demands, sealed_answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

    from bonafide.django.demands import Demand
    from bonafide.terms import Tier

View = TypeVar("View", bound="Callable[..., Any]")


@overload
def require_admitted(view: View) -> View: ...


@overload
def require_admitted(*, strict: bool) -> Callable[[View], View]: ...


def require_admitted(view: View | None = None, *, strict: bool = False) -> View | Callable[[View], View]:
    """Demand an admitted app; on a route with `legacy`, this shuts old app versions out of one view."""
    decorate = _demanding(demands.admitted_only, strict=strict)
    return decorate if view is None else decorate(view)


@overload
def require_hardware_proof(view: View) -> View: ...


@overload
def require_hardware_proof(*, strict: bool) -> Callable[[View], View]: ...


def require_hardware_proof(view: View | None = None, *, strict: bool = False) -> View | Callable[[View], View]:
    """Demand a proof by the `sign` key itself, as `proof = "hardware"` does for a route."""
    decorate = _demanding(demands.hardware_proof, strict=strict)
    return decorate if view is None else decorate(view)


def require_fresh(seconds: int, *, strict: bool = False) -> Callable[[View], View]:
    """Demand a hardware proof, and evidence at most `seconds` old, as `fresh` does for a route.

    Raises `Misuse` (`misuse.fresh_malformed`) for anything but 1 to 3600 whole seconds.
    """
    return _demanding(demands.fresh_evidence(seconds), strict=strict)


def require_tier(tier: Tier, *, strict: bool = False) -> Callable[[View], View]:
    """Demand at least this tier, as `tier` does for a route."""
    return _demanding(demands.minimum_tier(tier), strict=strict)


@overload
def sealed(view: View) -> View: ...


@overload
def sealed(*, strict: bool) -> Callable[[View], View]: ...


def sealed(view: View | None = None, *, strict: bool = False) -> View | Callable[[View], View]:
    """Have the answers of one view sealed, as `seal` does for a route, errors of the view included.

    For a view on a route that does not say `seal`; behind a gate the gate's rule has to say it (`sealed.key_missing`).
    What the decorator refuses is answered in clear: then there is nobody to seal for.
    """
    decorate = _before(lambda request: sealed_answers.require_sealed(request, strict=strict))
    return decorate if view is None else decorate(view)


def _demanding(demand: Demand, *, strict: bool) -> Callable[[View], View]:
    return _before(lambda request: demands.require(request, demand, strict=strict))


def _before(require: Callable[[HttpRequest], None]) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        if iscoroutinefunction(view):

            @wraps(view)
            async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                require(request)
                return await view(request, *args, **kwargs)

            return cast("View", guarded_async)

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            require(request)
            return view(request, *args, **kwargs)

        return cast("View", guarded)

    return decorate
