"""GitHub's discussions as a tracker of wishes, by GraphQL; each write is sent once."""

from collections.abc import Mapping, Sequence
from typing import Any

from feedback.channels.base import SourceStopped, TryLater
from feedback.channels.github.api import Api, Gone, data_of
from feedback.channels.github.tracker import Doubtful, Filed, NewIssue, WriteRefused, write

CATEGORIES = """
query Categories($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    id
    discussionCategories(first: 50) { nodes { id name slug isAnswerable } }
  }
}
"""
CREATE = """
mutation File($repository: ID!, $category: ID!, $title: String!, $body: String!) {
  createDiscussion(
    input: {repositoryId: $repository, categoryId: $category, title: $title, body: $body}
  ) {
    discussion { id number url }
  }
}
"""
NEWEST = """
query Newest($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    discussions(first: 50, orderBy: {field: CREATED_AT, direction: DESC}) {
      nodes { id number url body }
    }
  }
}
"""
LABEL = """
mutation Label($labelable: ID!, $labels: [ID!]!) {
  addLabelsToLabelable(input: {labelableId: $labelable, labelIds: $labels}) { clientMutationId }
}
"""
UNLABEL = """
mutation Unlabel($labelable: ID!, $labels: [ID!]!) {
  removeLabelsFromLabelable(input: {labelableId: $labelable, labelIds: $labels}) {
    clientMutationId
  }
}
"""
COMMENT = """
mutation Comment($discussion: ID!, $body: String!) {
  addDiscussionComment(input: {discussionId: $discussion, body: $body}) { comment { id url } }
}
"""
EDIT = """
mutation Edit($comment: ID!, $body: String!) {
  updateDiscussionComment(input: {commentId: $comment, body: $body}) { comment { id } }
}
"""
CLOSE = """
mutation Close($discussion: ID!) {
  closeDiscussion(input: {discussionId: $discussion, reason: DUPLICATE}) { discussion { id } }
}
"""
LOOK = """
query Look($id: ID!) {
  node(id: $id) {
    ... on Discussion {
      id number url title body closed closedAt stateReason updatedAt
      labels(first: 50) { nodes { name } }
      comments(last: 50) {
        nodes {
          id url body createdAt authorAssociation author { login }
          replies(last: 50) { nodes { id url body createdAt authorAssociation author { login } } }
        }
      }
    }
  }
}
"""


def categories(api: Api, name: str) -> tuple[str, list[Mapping[str, Any]]]:
    """The repository's node id, and the categories of its discussions.

    Raises Gone, TryLater, SourceStopped.
    """
    owner, _, short = name.partition("/")
    repository = api.graphql(CATEGORIES, name, owner=owner, name=short).get("repository") or {}
    nodes = (repository.get("discussionCategories") or {}).get("nodes") or []
    return str(repository.get("id") or ""), [node for node in nodes if isinstance(node, Mapping)]


def create(api: Api, name: str, repository: str, category: str, new: NewIssue) -> Filed:
    """File a discussion; its labels come by a call of their own."""
    data = _mutate(
        api, name, CREATE, repository=repository, category=category, title=new.title, body=new.body
    )
    return _filed((data.get("createDiscussion") or {}).get("discussion"))


def find(api: Api, name: str, mark: str) -> Filed | None:
    """The discussion of this mark among the newest. Raises Gone, TryLater, SourceStopped."""
    owner, _, short = name.partition("/")
    repository = api.graphql(NEWEST, name, owner=owner, name=short).get("repository") or {}
    for node in (repository.get("discussions") or {}).get("nodes") or []:
        if mark in str(node.get("body")):
            return _filed(node)
    return None


def look(api: Api, name: str, id_: str) -> Mapping[str, Any]:
    """A discussion as it is now, with its newest comments. Raises Gone, TryLater, SourceStopped."""
    node = api.graphql(LOOK, name, id=id_).get("node")
    if not isinstance(node, Mapping) or not node.get("id"):
        raise Gone("The discussion is gone.")
    return node


def label(api: Api, name: str, id_: str, add: Sequence[str], remove: Sequence[str]) -> None:
    """Add labels, by their node ids, and take others off."""
    if add:
        _mutate(api, name, LABEL, labelable=id_, labels=list(add))
    if remove:
        _mutate(api, name, UNLABEL, labelable=id_, labels=list(remove))


def comment(api: Api, name: str, id_: str, body: str) -> str:
    """Comment on a discussion; returns the comment's id."""
    data = _mutate(api, name, COMMENT, discussion=id_, body=body)
    made = (data.get("addDiscussionComment") or {}).get("comment") or {}
    if not made.get("id"):
        raise Doubtful("GitHub does not say whether the comment is there.")
    return str(made["id"])


def find_comment(api: Api, name: str, id_: str, mark: str) -> str:
    """The id of the comment with this mark, or nothing. Raises Gone, TryLater, SourceStopped."""
    nodes = (look(api, name, id_).get("comments") or {}).get("nodes") or []
    return next((str(node["id"]) for node in nodes if mark in str(node.get("body"))), "")


def edit_comment(api: Api, name: str, id_: str, body: str) -> None:
    """Write a comment anew."""
    _mutate(api, name, EDIT, comment=id_, body=body)


def close(api: Api, name: str, id_: str) -> None:
    """Close a discussion as a duplicate."""
    _mutate(api, name, CLOSE, discussion=id_)


def _mutate(api: Api, name: str, query: str, **variables: Any) -> Mapping[str, Any]:
    """The data of a mutation. Raises Doubtful, WriteRefused, TryLater."""
    value = write(api, "POST", api.graphql_path, name, query=query, variables=variables)
    try:
        return data_of(value)
    except Gone as error:
        raise WriteRefused(404, str(error)) from error
    except SourceStopped as error:
        raise WriteRefused(403, str(error), "discussions=write") from error
    except TryLater as error:
        if error.wait:  # a limit: it was not carried out
            raise
        raise Doubtful(str(error)) from error


def _filed(node: Any) -> Filed:
    try:
        return Filed(str(node["id"]), str(node["url"]), int(node["number"]), str(node["id"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Doubtful("GitHub does not say whether the discussion is there.") from error
