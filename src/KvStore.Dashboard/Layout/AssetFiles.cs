using System.Collections.Frozen;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace KvStore.Dashboard.Layout;

/// <summary>
/// The style sheet, the script and the icon, which are resources of the assembly. The name of each holds the hash of its content, so
/// that a browser may cache it for ever and still gets the new one after an update.
/// </summary>
internal sealed class AssetFiles
{
    private readonly FrozenDictionary<string, Asset> _byName;

    private AssetFiles(params Asset[] assets)
    {
        (Style, Script, Icon) = (assets[0].Name, assets[1].Name, assets[2].Name);
        _byName = assets.ToFrozenDictionary(asset => asset.Name, StringComparer.Ordinal);
    }

    public static AssetFiles Embedded { get; } = new(
        Read("dashboard", "css", "text/css; charset=utf-8"),
        Read("dashboard", "js", "text/javascript; charset=utf-8"),
        Read("icon", "svg", "image/svg+xml"));

    public string Style { get; }

    public string Script { get; }

    public string Icon { get; }

    public Task WriteAsync(HttpContext context, string name)
    {
        var response = context.Response;
        if (!_byName.TryGetValue(name, out var asset))
        {
            response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }

        response.Headers.ETag = asset.ETag;
        response.Headers.CacheControl = "private, max-age=31536000, immutable";
        if (context.Request.Headers.IfNoneMatch == asset.ETag)
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return Task.CompletedTask;
        }

        response.ContentType = asset.Type;
        response.ContentLength = asset.Bytes.Length;
        return response.BodyWriter.WriteAsync(asset.Bytes, context.RequestAborted).AsTask();
    }

    private static Asset Read(string name, string extension, string type)
    {
        using var stream = typeof(AssetFiles).Assembly.GetManifestResourceStream($"KvStore.Dashboard.{name}.{extension}")!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        var hash = Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 8));
        return new Asset($"{name}.{hash}.{extension}", type, new EntityTagHeaderValue($"\"{hash}\"").ToString(), bytes);
    }

    private sealed record Asset(string Name, string Type, string ETag, byte[] Bytes);
}
