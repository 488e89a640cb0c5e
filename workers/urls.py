from django.urls import path

from workers import views

app_name = "workers"
urlpatterns = [
    path("activity/", views.activity, name="activity"),
    path("activity/<str:label>/<int:pk>/progress/", views.progress, name="progress"),
    path("activity/<str:label>/<int:pk>/cancel/", views.cancel, name="cancel"),
]
