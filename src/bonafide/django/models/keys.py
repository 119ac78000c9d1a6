"""The keys of an app, as something that the console lists and that permission to see is given for."""

from __future__ import annotations

from bonafide.django.models.identities import App


class KeySet(App):
    """An app, seen as the owner of its keys. It has no table: keys lie in KEYS_DIR or among the sealed secrets."""

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = "key set"
