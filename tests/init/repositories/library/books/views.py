"""Answers of the library."""

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from books.models import Book


@require_GET
def health(request: HttpRequest) -> HttpResponse:
    """Whether it is up."""
    return HttpResponse("ok")


@require_GET
def list_books(request: HttpRequest) -> JsonResponse:
    """All titles."""
    return JsonResponse([book.title for book in Book.objects.all()], safe=False)


@require_GET
def read_book(request: HttpRequest, book_id: int) -> JsonResponse:
    """One book."""
    book = Book.objects.filter(pk=book_id).first()
    if book is None:
        raise Http404
    return JsonResponse({"title": book.title})


@csrf_exempt
@require_POST
def lend(request: HttpRequest) -> JsonResponse:
    """Another book."""
    return JsonResponse({"id": Book.objects.create(title="A new one").pk})
