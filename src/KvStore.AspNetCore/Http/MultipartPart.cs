using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace KvStore.Http;

/// <summary>A part of a multipart body: a text field or a file.</summary>
internal sealed class MultipartPart
{
    private const int InMemoryBytesMax = 64 * 1024;

    private readonly ContentDispositionHeaderValue? _disposition;
    private readonly CancellationToken _aborted;

    public MultipartPart(string? contentDisposition, Stream body, CancellationToken aborted)
    {
        _ = ContentDispositionHeaderValue.TryParse(contentDisposition, out _disposition);
        Body = body;
        _aborted = aborted;
    }

    /// <summary>The name of the field; null when the part does not say.</summary>
    public string? Name => _disposition is null ? null : HeaderUtilities.RemoveQuotes(_disposition.Name).Value;

    /// <summary>Whether the part says what it is.</summary>
    public bool HasDisposition => _disposition is not null;

    /// <summary>Whether the part is a field with text.</summary>
    public bool IsText => _disposition?.IsFormDisposition() == true;

    /// <summary>Whether the part is a field for a file, chosen or not.</summary>
    public bool IsFile => _disposition?.IsFileDisposition() == true;

    /// <summary>Whether the part is a file that was chosen.</summary>
    public bool IsChosenFile => IsFile
        && (HeaderUtilities.RemoveQuotes(_disposition!.FileName).Length > 0 || HeaderUtilities.RemoveQuotes(_disposition.FileNameStar).Length > 0);

    public Stream Body { get; }

    /// <summary>Reads the part into memory.</summary>
    /// <returns>The bytes; null when the part is longer than the limit.</returns>
    public async ValueTask<byte[]?> ReadBytesAsync(int bytesMax)
    {
        using var bytes = new MemoryStream();
        var buffer = new byte[4096];
        while (await Body.ReadAsync(buffer, _aborted).ConfigureAwait(false) is var read and > 0)
        {
            if (bytes.Length + read > bytesMax)
            {
                return null;
            }

            bytes.Write(buffer, 0, read);
        }

        return bytes.ToArray();
    }

    /// <summary>
    /// Reads the part to its end and keeps it: up to 64 KiB in memory, more in a temporary file. So a body that breaks off later
    /// changes nothing.
    /// </summary>
    /// <returns>The content from its beginning, which the caller disposes; null when the part is longer than the limit.</returns>
    public async ValueTask<Stream?> BufferAsync(long bytesMax)
    {
        var content = new FileBufferingReadStream(Body, InMemoryBytesMax, bufferLimit: null, Path.GetTempPath());
        var buffer = new byte[16 * 1024];
        try
        {
            while (await content.ReadAsync(buffer, _aborted).ConfigureAwait(false) > 0)
            {
                if (content.Length > bytesMax)
                {
                    await content.DisposeAsync().ConfigureAwait(false);
                    return null;
                }
            }
        }
        catch
        {
            await content.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        content.Position = 0;
        return content;
    }
}
