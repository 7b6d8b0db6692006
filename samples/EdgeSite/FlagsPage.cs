using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using KvStore;
using Microsoft.AspNetCore.Mvc;

namespace EdgeSite;

/// <summary>
/// The feature flags of a tenant: keys <c>flag:&lt;tenant&gt;:&lt;name&gt;</c>, whose metadata says all there is to say, so
/// that one list call renders the table without reading a value.
/// </summary>
internal static class FlagsPage
{
    private const int NameCharactersMax = 60;

    private static readonly string[] s_tenants = ["acme", "globex"];

    /// <summary>Adds the page and its forms.</summary>
    public static void MapFlagsPage(this IEndpointRouteBuilder app)
    {
        app.MapGet("/flags", async (HttpContext context, string? tenant, IFlags flags) =>
        {
            tenant ??= s_tenants[0];
            if (!s_tenants.Contains(tenant))
            {
                return await Page.RefuseAsync(
                    context, StatusCodes.Status404NotFound, $"There is no tenant of that name; there are {string.Join(", ", s_tenants)}.");
            }

            var listed = await flags.Flags(tenant).ListAsync(context.RequestAborted).ToListAsync(context.RequestAborted);
            var page = await Page.ForAsync(context);
            return page.Render("Feature flags", Content(page, tenant, listed));
        });

        app.MapFlagsChanges();

        app.MapPost("/flags/add", async (
            HttpContext context,
            [FromForm] string? tenant,
            [FromForm] string? name,
            [FromForm] string? by,
            IFlags flags,
            TimeProvider time) =>
        {
            var author = (by ?? "").Trim();
            if (Problem(tenant, name) is { } problem)
            {
                return await Page.RefuseAsync(context, StatusCodes.Status400BadRequest, problem);
            }

            if (author.Length is 0 or > NameCharactersMax)
            {
                return await Page.RefuseAsync(
                    context, StatusCodes.Status400BadRequest, $"Say who adds the flag, in 1 to {NameCharactersMax} characters.");
            }

            var flag = new FlagInfo(Enabled: false, time.GetUtcNow(), author);
            await flags.Flag(tenant!, name!.Trim()).PutAsync("", flag, context.RequestAborted);
            return Back(tenant!);
        });

        app.MapPost("/flags/switch", async (
            HttpContext context, [FromForm] string? tenant, [FromForm] string? name, IFlags flags) =>
        {
            if (Problem(tenant, name) is { } problem)
            {
                return await Page.RefuseAsync(context, StatusCodes.Status400BadRequest, problem);
            }

            var entry = flags.Flag(tenant!, name!.Trim());
            var current = await entry.GetAsync(cancellationToken: context.RequestAborted);
            if (current.Metadata is { } flag)
            {
                // The value stays: it may hold the conditions of the flag.
                await entry.PutAsync(current.Value ?? "", flag with { Enabled = !flag.Enabled }, context.RequestAborted);
            }

            return Back(tenant!);
        });

        app.MapPost("/flags/delete", async (
            HttpContext context, [FromForm] string? tenant, [FromForm] string? name, IFlags flags) =>
        {
            if (Problem(tenant, name) is { } problem)
            {
                return await Page.RefuseAsync(context, StatusCodes.Status400BadRequest, problem);
            }

            await flags.Flag(tenant!, name!.Trim()).DeleteAsync(context.RequestAborted);
            return Back(tenant!);
        });
    }

    private static IResult Back(string tenant) => Results.LocalRedirect($"/flags?tenant={tenant}");

    private static string? Problem(string? tenant, string? name)
    {
        if (!s_tenants.Contains(tenant))
        {
            return $"The tenant must be one of {string.Join(", ", s_tenants)}.";
        }

        return (name ?? "").Trim().Length is 0 or > NameCharactersMax ? $"A flag's name must have 1 to {NameCharactersMax} characters." : null;
    }

    private static string Content(Page page, string tenant, List<KvTypedKey<FlagInfo>> listed)
    {
        var tenants = string.Concat(s_tenants.Select(t => $"""<a href="/flags?tenant={t}"{(t == tenant ? " aria-current=\"true\"" : "")}>{t}</a>"""));
        return $"""
            <nav class="card" aria-label="Tenants">{tenants}</nav>
            <section class="card scroll" aria-label="Flags of {tenant}" data-tenant="{tenant}">
            {Table(page, tenant, listed)}
            </section>
            <form class="card row" method="post" action="/flags/add">
            {page.TokenField()}<input type="hidden" name="tenant" value="{tenant}">
            <div class="grow"><label for="name">New flag</label><input id="name" type="text" name="name" required maxlength="{NameCharactersMax}" placeholder="one-click-checkout"></div>
            <div class="grow"><label for="by">Added by</label><input id="by" type="text" name="by" required maxlength="{NameCharactersMax}"></div>
            <button>Add</button>
            </form>
            <script src="/flags.js" defer></script>
            """;
    }

    /// <summary>Whether there is such a tenant.</summary>
    internal static bool IsTenant([NotNullWhen(true)] string? tenant) => s_tenants.Contains(tenant);

    /// <summary>The table of a tenant's flags.</summary>
    internal static string Table(Page page, string tenant, List<KvTypedKey<FlagInfo>> listed)
    {
        var token = page.TokenField();
        var rows = new StringBuilder();
        foreach (var key in listed)
        {
            _ = IFlags.TryParseFlagKey(key.Name, out _, out var flagName);
            var name = Page.Encode(flagName);
            var flag = key.Metadata ?? new FlagInfo(false, default, "nobody");
            var state = flag.Enabled ? "on" : "off";
            rows.Append(CultureInfo.InvariantCulture, $"""
                <tr><td class="text"><code>{name}</code></td><td><span class="state {state}">{state}</span></td>
                <td class="date">{flag.CreatedAt:yyyy-MM-dd}</td><td class="text">{Page.Encode(flag.CreatedBy)}</td>
                <td class="buttons">{Button("switch", "plain", flag.Enabled ? "Switch off" : "Switch on", tenant, name, token)}
                {Button("delete", "danger", "Delete", tenant, name, token)}</td></tr>
                """);
        }

        return $"""
            <table><thead><tr><th scope="col">Flag</th><th scope="col">State</th><th scope="col">Since</th><th scope="col">By</th><th scope="col">Change</th></tr></thead>
            <tbody>{rows}</tbody></table>
            {(listed.Count == 0 ? "<p class=\"muted\">No flags yet.</p>" : "")}
            """;
    }

    private static string Button(string action, string style, string text, string tenant, string encodedName, string token) => $"""
        <form method="post" action="/flags/{action}">{token}<input type="hidden" name="tenant" value="{tenant}"><input type="hidden" name="name" value="{encodedName}"><button class="{style}" aria-label="{text} {encodedName}">{text}</button></form>
        """;
}
