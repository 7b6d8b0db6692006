using Microsoft.AspNetCore.Mvc;

namespace EdgeSite;

/// <summary>A message that everybody sees: one key, read on the server for every request.</summary>
internal static class MessagePage
{
    private const int CharactersMax = 500;

    /// <summary>Adds the page and its form.</summary>
    public static void MapMessagePage(this IEndpointRouteBuilder app)
    {
        app.MapGet("/message", async (HttpContext context, IMessages messages) =>
        {
            var message = (await messages.Pinned().GetAsync(cancellationToken: context.RequestAborted)).Value;
            var page = await Page.ForAsync(context);
            var shown = message is null ? """<p class="muted">Nothing is pinned.</p>""" : $"<blockquote>{Page.Encode(message)}</blockquote>";
            return page.Render("Pinned message", $"""
                <section class="card" aria-label="The message">{shown}</section>
                <form class="card" method="post" action="/message">
                {page.TokenField()}
                <p><label for="text">New message</label>
                <textarea id="text" name="text" rows="3" maxlength="{CharactersMax}" aria-describedby="hint">{Page.Encode(message)}</textarea>
                <span id="hint" class="muted">Up to {CharactersMax} characters; empty takes the message down.</span></p>
                <button>Pin it</button>
                </form>
                """);
        });

        app.MapPost("/message", async (HttpContext context, [FromForm] string? text, IMessages messages) =>
        {
            // Browsers send line ends as two characters and count them as one.
            var message = (text ?? "").ReplaceLineEndings("\n").Trim();
            if (message.Length > CharactersMax)
            {
                return await Page.RefuseAsync(
                    context, StatusCodes.Status400BadRequest, $"The message has {message.Length} characters; it may have {CharactersMax}.");
            }

            if (message.Length == 0)
            {
                await messages.Pinned().DeleteAsync(context.RequestAborted);
            }
            else
            {
                await messages.Pinned().PutAsync(message, context.RequestAborted);
            }

            return Results.LocalRedirect("/message");
        });
    }
}
