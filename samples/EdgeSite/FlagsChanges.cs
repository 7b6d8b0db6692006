using System.Runtime.CompilerServices;
using KvStore;

namespace EdgeSite;

/// <summary>
/// Shows changes of flags on open pages at once: the browser waits for events, and fetches the table anew after each. Without a script
/// the page is what it was when it was loaded.
/// </summary>
internal static class FlagsChanges
{
    private const string Script = """
        const section = document.querySelector('[data-tenant]');
        const tenant = encodeURIComponent(section.dataset.tenant);
        const source = new EventSource('/flags/changes?tenant=' + tenant);
        let isBusy = false, isStale = false;
        source.onmessage = async () => {
          isStale = true;
          if (isBusy) return;
          isBusy = true;
          try {
            while (isStale) {
              isStale = false;
              const answer = await fetch('/flags/table?tenant=' + tenant);
              if (!answer.ok) continue;
              const fresh = document.createElement('template');
              fresh.innerHTML = await answer.text();
              if (fresh.content.textContent.trim() === section.textContent.trim()) continue;
              const focused = section.contains(document.activeElement) ? document.activeElement.getAttribute('aria-label') : null;
              section.replaceChildren(fresh.content);
              if (focused) section.querySelector('[aria-label="' + CSS.escape(focused) + '"]')?.focus();
            }
          } finally {
            isBusy = false;
          }
        };
        addEventListener('pagehide', () => source.close());
        """;

    /// <summary>Adds the events, the table by itself, and the script.</summary>
    public static void MapFlagsChanges(this IEndpointRouteBuilder app)
    {
        app.MapGet("/flags.js", (HttpContext context) =>
        {
            context.Response.Headers.CacheControl = "no-cache";
            return Results.Content(Script, "text/javascript; charset=utf-8");
        });

        app.MapGet("/flags/table", async (HttpContext context, string? tenant, IFlags flags) =>
        {
            if (!FlagsPage.IsTenant(tenant))
            {
                return Results.NotFound();
            }

            var listed = await flags.Flags(tenant).ListAsync(context.RequestAborted).ToListAsync(context.RequestAborted);
            context.Response.Headers.CacheControl = "no-store";
            return Results.Content(FlagsPage.Table(new Page(context, theme: ""), tenant, listed), "text/html; charset=utf-8");
        });

        app.MapGet("/flags/changes", (
            HttpContext context, string? tenant, [FromKeyedServices("FLAGS_KV")] IKvExtendedNamespace flags, IHostApplicationLifetime lifetime) =>
        {
            if (!FlagsPage.IsTenant(tenant))
            {
                return Results.NotFound();
            }

            // A page that stays open does not keep the site from stopping.
            return TypedResults.ServerSentEvents(ChangesAsync(flags, $"flag:{tenant}:", lifetime.ApplicationStopping, context.RequestAborted));
        });
    }

    // The first event comes when every later change will be seen, so that nothing is missed between the page and the watch.
    private static async IAsyncEnumerable<string> ChangesAsync(
        IKvExtendedNamespace flags, string prefix, CancellationToken stopping, [EnumeratorCancellation] CancellationToken aborted)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stopping, aborted);
        await using var changes = flags
            .WatchAsync(new KvWatchOptions { Prefix = prefix, Start = KvWatchStart.Current }, end.Token)
            .GetAsyncEnumerator(end.Token);
        var isCurrent = false;
        while (await MoveNextAsync(changes))
        {
            isCurrent |= changes.Current.Kind == KvChangeKind.Current;
            if (isCurrent)
            {
                yield return "changed";
            }
        }
    }

    private static async ValueTask<bool> MoveNextAsync(IAsyncEnumerator<KvChange> changes)
    {
        try
        {
            return await changes.MoveNextAsync();
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
    }
}
