"""What the operator says is genuine: apps, their identities and policy, and debug secrets."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, NoReturn

from django.core.exceptions import ValidationError
from django.db import models

from bonafide import appraisal
from bonafide.django.models.fields import MAX_NAME, EnvironmentField, IdentifierField
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.terms import Environment, EvidenceEnvironment, Platform


def choices(*members: str) -> list[tuple[str, str]]:
    """Offer a closed vocabulary in forms; the text is the label."""
    return [(str(member), str(member)) for member in members]


def released() -> list[str]:
    """Return the evidence environments that a new identity admits."""
    return sorted(appraisal.IdentityPolicy().environments)


def released_categories() -> list[int]:
    """Return the validation categories that a new identity admits."""
    return sorted(category.value for category in appraisal.IdentityPolicy().validation_categories)


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        _malformed(f"{value!r} is not a list")
    return value


def _numbers(value: object) -> list[int]:
    numbers = [number for number in _list(value) if type(number) is int]
    if numbers != value:
        _malformed(f"{value!r} is not a list of numbers")
    return numbers


def _texts(value: object) -> list[str]:
    texts = [text for text in _list(value) if isinstance(text, str)]
    if texts != value:
        _malformed(f"{value!r} is not a list of texts")
    return texts


def _malformed(detail: str) -> NoReturn:
    raise ConfigurationError(reasons.SETTING_MALFORMED, detail)


class App(models.Model):
    """An app (`sub`) in one environment. A service reads the rows of its own ENVIRONMENT and no others."""

    name = IdentifierField(
        max_length=MAX_NAME,
        help_text="The app's name on the wire, e.g. com.example.shop. Rows refer to it: it never changes.",
    )
    environment = EnvironmentField(choices=choices(*Environment))
    title = models.CharField(max_length=MAX_NAME, blank=True, help_text="For people.")
    audience = IdentifierField(
        max_length=MAX_NAME, blank=True, help_text="The aud of its client attestations. Empty: the setting AUDIENCE."
    )
    other_audiences = models.JSONField(
        default=list, blank=True, help_text="Authorization servers that a renewal may ask a JWT for: a list of texts."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name", "environment"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["name", "environment"], name="bonafide_app_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.environment})"

    def value(self, *, audience: str, reattest_after: timedelta) -> appraisal.App:
        """Return what the core enrols by. The arguments are the settings that stand in for empty fields.

        Raises `ConfigurationError` (`configuration.setting_malformed`), also where there is no identity.
        """
        identities = tuple(identity.value(reattest_after=reattest_after) for identity in self.identities.all())
        return self._value(identities, audience)

    def clean(self) -> None:
        """Refuse in the form what the core would refuse at start-up."""
        try:
            self._value((appraisal.Identity(name="ABCDE12345.placeholder"),), "https://placeholder")
        except ConfigurationError as error:
            raise ValidationError(error.detail) from None

    def _value(self, identities: tuple[appraisal.Identity, ...], audience: str) -> appraisal.App:
        return appraisal.App(
            name=self.name,
            identities=identities,
            audience=self.audience or audience,
            other_audiences=frozenset(_texts(self.other_audiences)),
        )


class Identity(models.Model):
    """One signed form of an app, and what its instances must show: the fields of `appraisal.IdentityPolicy`.

    Main app, App Clip, white label and Mac build are identities of one app. Deleting one ends enrolment
    and renewal of its instances.
    """

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="identities", db_index=False)
    name = IdentifierField(
        max_length=MAX_NAME,
        help_text="The App ID: team id, a dot and the bundle id, e.g. 8A3B4C5D6E.com.example.shop.",
    )
    platform = IdentifierField(max_length=12, choices=choices(*Platform), default=Platform.IOS)
    signing_digests = models.JSONField(
        default=list, blank=True, help_text="Android: SHA-256 digests of the signing certificates, in hex."
    )
    environments = models.JSONField(
        default=released,
        help_text="From where evidence is accepted: a list of "
        + ", ".join(f'"{member}"' for member in EvidenceEnvironment)
        + ". TestFlight builds are production.",
    )
    validation_categories = models.JSONField(
        default=released_categories,
        blank=True,
        help_text="How the app may have been installed (iOS 27): "
        + ", ".join(f"{member.value} {member.name.lower()}" for member in appraisal.ValidationCategory),
    )
    validation_category_required = models.BooleanField(
        default=False, help_text="Refuse evidence that names no category: iOS 26 and older."
    )
    minimum_app_version = models.CharField(max_length=64, blank=True)
    minimum_os_version = models.CharField(max_length=64, blank=True, help_text="Older systems get the tier warning.")
    minimum_sdk_version = models.CharField(max_length=64, blank=True)
    unattested = models.BooleanField(
        default=False, help_text="Enrol devices that cannot attest, with the tier none. Routes ask for more by default."
    )
    evidence_max_age = models.DurationField(
        default=timedelta(days=365), help_text="Instances whose attestation is older enrol again (days hh:mm:ss)."
    )
    reattest_after = models.DurationField(
        null=True, blank=True, help_text="Age of the last assertion that demands a new one. Empty: REATTEST_AFTER."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "identities"
        ordering: ClassVar = ["app", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["app", "name"], name="bonafide_identity_unique"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def team_id(self) -> str:
        """The part of the App ID before the first dot."""
        return self.name.partition(".")[0]

    @property
    def bundle_id(self) -> str:
        """The part of the App ID after the first dot."""
        return self.name.partition(".")[2]

    def value(self, *, reattest_after: timedelta) -> appraisal.Identity:
        """Return what the core appraises by; `reattest_after` is the setting that stands in for an empty field.

        Raises `ConfigurationError` (`configuration.setting_malformed`).
        """
        try:
            platform = Platform(self.platform)
            environments = frozenset(EvidenceEnvironment(name) for name in _texts(self.environments))
            categories = frozenset(
                appraisal.ValidationCategory(number) for number in _numbers(self.validation_categories)
            )
        except ValueError as error:
            _malformed(f"identity {self.name!r}: {error}")
        return appraisal.Identity(
            name=self.name,
            platform=platform,
            policy=appraisal.IdentityPolicy(
                environments=environments,
                validation_categories=categories,
                validation_category_required=self.validation_category_required,
                minimum_app_version=self.minimum_app_version,
                minimum_os_version=self.minimum_os_version,
                minimum_sdk_version=self.minimum_sdk_version,
                unattested=self.unattested,
                evidence_max_age=self.evidence_max_age,
                reattest_after=reattest_after if self.reattest_after is None else self.reattest_after,
            ),
        )

    def clean(self) -> None:
        """Refuse in the form what the core would refuse at start-up."""
        try:
            self.value(reattest_after=timedelta(0))
        except ConfigurationError as error:
            raise ValidationError(error.detail) from None


class DebugSecret(models.Model):
    """A named secret with which simulators and CI make debug evidence; never in production.

    The secret itself is in no row: it is derived from `salt` and Django's SECRET_KEY (see
    `bonafide.django.debug_secrets`), so that a copy of the database makes no evidence.
    """

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="debug_secrets", db_index=False)
    name = IdentifierField(max_length=64, help_text="Who or what uses it, e.g. ci or annas-simulator.")
    salt = models.BinaryField(max_length=16, editable=False)
    created_at = models.DateTimeField(editable=False)
    created_by = models.CharField(max_length=MAX_NAME, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["app", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["app", "name"], name="bonafide_debugsecret_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.app}"
