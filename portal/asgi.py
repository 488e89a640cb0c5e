import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django = get_asgi_application()

from portal.api.waiting import ApiDoor  # noqa: E402

application = ApiDoor(django)
