from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import path

from portal.accounts.views import account, audit, invitations, keys, project, session

app_name = "accounts"
urlpatterns = [
    path("accounts/login/", session.SignIn.as_view(), name="login"),
    # Open to all: who is a member of no project must get out, too.
    path("accounts/logout/", login_not_required(LogoutView.as_view()), name="logout"),
    path("accounts/language/", session.language, name="language"),
    path("accounts/theme/", session.theme, name="theme"),
    path("accounts/project/", session.project, name="project"),
    path("accounts/oidc/", session.oidc_begin, name="oidc"),
    path("accounts/invitation/", invitations.join, name="join"),
    path("accounts/invitation/<str:token>/", invitations.open_link, name="invitation"),
    path("accounts/too-often/", invitations.slow_down, name="too_often"),
    path("settings/", account.account, name="settings"),
    path("settings/password/", account.password, name="password"),
    path("settings/project/", project.project, name="project_settings"),
    path("settings/project/new/", project.create, name="project_new"),
    path("settings/members/<int:pk>/role/", project.change_role, name="member_role"),
    path("settings/members/<int:pk>/remove/", project.remove, name="member_remove"),
    path("settings/members/<int:pk>/password/", project.password_link, name="member_password"),
    path("settings/invitations/", project.invite, name="invite"),
    path("settings/link/", project.link, name="link"),
    path("settings/invitations/<int:pk>/revoke/", project.revoke, name="invitation_revoke"),
    path("settings/keys/", keys.index, name="keys"),
    path("settings/keys/<int:pk>/revoke/", keys.revoke, name="key_revoke"),
    path("settings/audit/", audit.index, name="audit"),
    path("settings/audit/log.csv", audit.download, name="audit_file"),
]
