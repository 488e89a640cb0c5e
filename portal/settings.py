"""Settings of the portal: every one comes from the environment (docs/settings.md lists them).

Without any variable set this is a laptop installation: SQLite, the embedded
broker and generated secrets, all inside ``PORTAL_DATA_DIR`` (``var/``).
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from portal.environment import (
    chosen,
    flag,
    listed,
    local_secret,
    number,
    private_folder,
    whole,
)

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = private_folder(Path(os.environ.get("PORTAL_DATA_DIR") or BASE_DIR / "var").resolve())

DEBUG = flag("PORTAL_DEBUG", False)
SECRET_KEY = os.environ.get("PORTAL_SECRET_KEY") or local_secret(DATA_DIR / "keys" / "session.key")
# Newest first: the first encrypts, all decrypt, so keys can be rotated.
ENCRYPTION_KEYS = listed("PORTAL_ENCRYPTION_KEYS") or [
    local_secret(DATA_DIR / "keys" / "encryption.key")
]
ALLOWED_HOSTS = listed("PORTAL_ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = listed("PORTAL_TRUSTED_ORIGINS")
HTTPS = flag("PORTAL_HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True  # scripts take the token from the page
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
# Subdomains and the preload list bind other hosts of the domain, which are not ours.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]  # asked by machines beside the proxy
METRICS_TOKEN = os.environ.get("PORTAL_METRICS_TOKEN") or ""

INSTALLED_APPS = [
    "feedback",
    "evals",
    "workers",
    "portal.accounts",
    "portal.ui",
    "django.contrib.auth",
    "axes",
    # Always here, so that naming a provider later changes no table; its pages have no address.
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "template_partials",
]
MIDDLEWARE = [
    "portal.metrics.RequestMiddleware",
    "portal.api.problems.ProblemsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "portal.middleware.PermissionsPolicyMiddleware",
    # Far out: refusals by the middleware further in carry the headers, too.
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "portal.middleware.PersonLanguageMiddleware",
    "portal.middleware.HtmxSignInMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "portal.accounts.permissions.ProjectMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "portal.urls"
ASGI_APPLICATION = "portal.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.ui.context.shell",
            ],
            "builtins": ["django.templatetags.i18n", "django.templatetags.static"],
        },
    }
]

# SQLite as measured: IMMEDIATE transactions and WAL, or writers fail under load.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": (
        "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA busy_timeout=20000;"
        "PRAGMA cache_size=-65536;PRAGMA temp_store=MEMORY;"
    ),
}
DATABASES = {
    "default": dj_database_url.parse(
        os.environ.get("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'portal.sqlite3'}",
        # Under ASGI each request has a thread of its own: a connection that is kept would be
        # used by nobody and stay open until the thread's garbage is collected.
        conn_max_age=0,
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "accounts:login"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in {
        "UserAttributeSimilarityValidator": {},
        "MinimumLengthValidator": {"min_length": 10},
        "CommonPasswordValidator": {},
        "NumericPasswordValidator": {},
    }.items()
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: it refuses before a password is looked at
    "django.contrib.auth.backends.ModelBackend",
]
# Two weeks after the last visit to the home page, which remembers it in the session: a
# forgotten browser ends by itself, and reading pages writes nothing.
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_SAMESITE = "Lax"

# Wrong passwords are counted in the database, so for all processes together, and for a name
# and an address together: nobody shuts out a whole office, or its owner from elsewhere.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "portal.accounts.views.session.locked_out"
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False

# OpenID Connect: off unless a provider is named. Who comes in: portal/accounts/oidc.py.
OIDC_ISSUER = os.environ.get("PORTAL_OIDC_ISSUER", "").rstrip("/")
OIDC_NAME = os.environ.get("PORTAL_OIDC_NAME") or "OpenID Connect"
OIDC_DEFAULT_ROLE = os.environ.get("PORTAL_OIDC_DEFAULT_ROLE", "")
ACCOUNT_ADAPTER = "portal.accounts.oidc.NoAccounts"
ACCOUNT_EMAIL_VERIFICATION = "none"
SOCIALACCOUNT_ADAPTER = "portal.accounts.oidc.Adapter"
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "oidc",
                "name": OIDC_NAME,
                "client_id": os.environ.get("PORTAL_OIDC_CLIENT_ID", ""),
                "secret": os.environ.get("PORTAL_OIDC_CLIENT_SECRET", ""),
                "settings": {"server_url": OIDC_ISSUER},
            }
        ]
        if OIDC_ISSUER
        else [],
    }
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("de", _("German"))]
LOCALE_PATHS = [BASE_DIR / "portal" / "locale"]
FORMAT_MODULE_PATH = ["portal.formats"]
USE_I18N = True
USE_THOUSAND_SEPARATOR = True
TIME_ZONE = os.environ.get("PORTAL_TIME_ZONE") or "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "style-src-attr": ["'unsafe-inline'"],  # --v of heat cells only
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

# Jobs. The database row is the truth; a message only pokes a worker (docs/operations.md).
BROKER_URL = os.environ.get("PORTAL_BROKER_URL") or f"embedded://{DATA_DIR / 'broker'}"
LEASE_SECONDS = number("PORTAL_LEASE_SECONDS", 15.0)
SERVER_WAIT_SECONDS = number("PORTAL_SERVER_WAIT_SECONDS", 300.0)
SWEEP_SECONDS = number("PORTAL_SWEEP_SECONDS", 5.0)
WORKER_PROCESSES = whole("PORTAL_WORKER_PROCESSES", 2)
# What a server was found able to do is asked anew before a run when the check is older.
CHECK_HOURS = number("PORTAL_CHECK_HOURS", 24.0)

# Requests of one key or person to the API within a minute; further ones are told to wait.
API_RATE = whole("PORTAL_API_RATE", 600)

# The only way out: hosts and networks that the portal may connect to.
OUTBOUND_ALLOW = listed("PORTAL_OUTBOUND_ALLOW") or ["127.0.0.0/8", "::1/128"]
OUTBOUND_MAX_BYTES = whole("PORTAL_OUTBOUND_MAX_BYTES", 64 * 1024 * 1024)

# The program of the real EuroEval, in an environment of its own; unset, the feature is off.
EUROEVAL = os.environ.get("PORTAL_EUROEVAL") or ""

# A folder of data sets as owner/name, laid out as on the hub, which is looked into first.
HUB_MIRROR = os.environ.get("PORTAL_HUB_MIRROR") or ""

# Counters of rate limits. Without Redis each web process counts for itself.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": BROKER_URL,
        "KEY_PREFIX": "pruefstand",
    }
    if BROKER_URL.startswith(("redis:", "rediss:"))
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

LOG_FORMAT = chosen("PORTAL_LOG_FORMAT", "plain", ("plain", "json"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": os.environ.get("PORTAL_LOG_LEVEL") or "INFO"},
    "loggers": {
        "django.server": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},  # a refusal or a wrong form is no fault of ours
        "axes": {"level": "WARNING"},  # it tells each sign-in, in masked words
        "celery.worker.request": {"level": "WARNING"},  # expired sweeps
        "httpx2": {"level": "WARNING"},  # each prompt of the playground
        "openai": {"level": "WARNING"},
        # Every two seconds a page asks for its progress: only for who collects logs.
        "portal.requests": {"level": "INFO" if LOG_FORMAT == "json" else "WARNING"},
    },
}
