using System.Globalization;
using System.Text.Json;
using KvStore.Http;
using Microsoft.AspNetCore.Http;

namespace KvStore.Rest;

/// <summary>The collection of namespaces, and each of them: list, create, get, rename, delete.</summary>
internal sealed class NamespacesResource(KvNamespaceCatalog catalog)
{
    private const int BodyBytesMax = 16 * 1024;
    private const int PerPageDefault = 20;
    private const int PerPageMax = 1000;

    public Task ListAsync(HttpContext context, KvToken token)
    {
        var query = context.Request.Query;
        var page = Number(query["page"], "page", 1, int.MaxValue, 1);
        var perPage = Number(query["per_page"], "per_page", 1, PerPageMax, PerPageDefault);
        var byTitle = Choice(query["order"], "order", "id", "title") != "id";
        var isDescending = Choice(query["direction"], "direction", "asc", "desc") == "desc";

        // The catalog lists them in the order of their titles.
        IEnumerable<KvCatalogEntry> entries = [.. catalog.Entries.Where(token.Covers)];
        var total = entries.Count();
        entries = byTitle ? entries : entries.OrderBy(entry => entry.Id, StringComparer.Ordinal);
        entries = isDescending ? entries.Reverse() : entries;
        List<KvCatalogEntry> shown = [.. entries.Skip((int)Math.Min((page - 1L) * perPage, int.MaxValue)).Take(perPage)];

        var json = Envelope.Begin(context.Response);
        json.WriteStartArray();
        foreach (var entry in shown)
        {
            Write(json, entry);
        }

        json.WriteEndArray();
        json.WriteStartObject("result_info"u8);
        json.WriteNumber("page"u8, page);
        json.WriteNumber("per_page"u8, perPage);
        json.WriteNumber("count"u8, shown.Count);
        json.WriteNumber("total_count"u8, total);
        json.WriteNumber("total_pages"u8, (total + perPage - 1) / perPage);
        json.WriteEndObject();
        return Envelope.EndAsync(json, context.Response);
    }

    public async Task CreateAsync(HttpContext context, KvToken token)
    {
        CheckMayChange(token);
        var title = await ReadTitleAsync(context).ConfigureAwait(false);
        await WriteAsync(context, await catalog.CreateAsync(title, context.RequestAborted).ConfigureAwait(false)).ConfigureAwait(false);
    }

    public static Task GetAsync(HttpContext context, KvCatalogEntry entry) => WriteAsync(context, entry);

    public async Task RenameAsync(HttpContext context, KvToken token, KvCatalogEntry entry)
    {
        CheckMayChange(token);
        var title = await ReadTitleAsync(context).ConfigureAwait(false);
        await WriteAsync(context, await catalog.RenameAsync(entry.Id, title, context.RequestAborted).ConfigureAwait(false)).ConfigureAwait(false);
    }

    public async Task DeleteAsync(HttpContext context, KvToken token, KvCatalogEntry entry)
    {
        CheckMayChange(token);
        await catalog.DeleteAsync(entry.Id, context.RequestAborted).ConfigureAwait(false);
        await Envelope.WriteDoneAsync(context.Response).ConfigureAwait(false);
    }

    // A token may name its namespaces by title. If it could rename namespaces, it could give itself others.
    private static void CheckMayChange(KvToken token)
    {
        if (token.Access != KvAccess.ReadWrite || !token.IsForAllNamespaces)
        {
            throw new RefusedException(Failure.Forbidden);
        }
    }

    private static Task WriteAsync(HttpContext context, KvCatalogEntry entry)
    {
        var json = Envelope.Begin(context.Response);
        Write(json, entry);
        return Envelope.EndAsync(json, context.Response);
    }

    private static void Write(Utf8JsonWriter json, KvCatalogEntry entry)
    {
        json.WriteStartObject();
        json.WriteString("id"u8, entry.Id);
        json.WriteString("title"u8, entry.Title);
        json.WriteBoolean("supports_url_encoding"u8, true);
        json.WriteEndObject();
    }

    private static async Task<string> ReadTitleAsync(HttpContext context)
    {
        RequestBody.Bound(context, BodyBytesMax);
        try
        {
            using var json = await JsonDocument.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted).ConfigureAwait(false);
            return json.RootElement.ValueKind == JsonValueKind.Object
                && json.RootElement.TryGetProperty("title"u8, out var title) && title.ValueKind == JsonValueKind.String
                ? title.GetString()!
                : throw new RefusedException(Failure.Malformed("The body must be {\"title\": \"...\"}."));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new RefusedException(Failure.Malformed("The body must be JSON: {\"title\": \"...\"}."));
        }
    }

    private static int Number(string? text, string name, int min, int max, int byDefault)
    {
        if (string.IsNullOrEmpty(text))
        {
            return byDefault;
        }

        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max
            ? number
            : throw new RefusedException(Failure.Malformed(Invariant($"Invalid {name} of {text}. It must be {min} to {max}.")));
    }

    private static string? Choice(string? text, string name, string one, string other) =>
        string.IsNullOrEmpty(text) || text == one || text == other
            ? text
            : throw new RefusedException(Failure.Malformed($"Invalid {name} of {text}. It must be {one} or {other}."));
}
