"""Routes of csps-llm behind which Parley has nothing: one sentence each."""

from __future__ import annotations

from aiohttp import web

MISSING = {
    "/chat/{personality}": "Parley has no chat page in this version; ask at /gpt/ or /gpt-socket/.",
    "/tts": "Parley does not speak.",
    "/llava/describe": "Parley does not look at pictures.",
    "/stablediffusion/generate": "Parley draws no pictures.",
    "/embedding/{name}": "Parley serves no embeddings here.",
}


async def refuse(request: web.Request) -> web.Response:
    resource = request.match_info.route.resource
    sentence = MISSING[resource.canonical if resource else ""]
    return web.Response(status=404, text=f"{sentence}\n")
