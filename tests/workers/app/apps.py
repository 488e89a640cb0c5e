from django.apps import AppConfig


class ErrandsConfig(AppConfig):
    name = "tests.workers.app"
    label = "errands"
