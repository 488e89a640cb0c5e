import gc
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django = get_asgi_application()

from portal.api.waiting import ApiDoor  # noqa: E402

application = ApiDoor(django)

# What start-up made stays for ever, so no collection need look at it again; and there are
# fewer of them. Before, one request in twenty for a board of 2 500 cells took 85 ms longer.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 50)
