using System.Text;
using KvStore.Requests;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace KvStore.Dashboard.Forms;

/// <summary>
/// A form that asks for a change. There is none without a valid anti-forgery token; and of a form in parts, nothing but the
/// first part is read to find that out. A text is kept byte for byte: no byte order mark is dropped, no line break rewritten.
/// </summary>
internal sealed class ChangeForm : IAsyncDisposable
{
    /// <summary>The longest text of a field.</summary>
    public const int TextBytesMax = 1024 * 1024;

    private const int TokenBytesMax = 4096;
    private const int FieldsMax = 32;
    private const int InMemoryBytesMax = 64 * 1024;

    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly HttpContext _context;
    private readonly MultipartParts? _parts;
    private readonly Dictionary<string, string> _fields = new(StringComparer.Ordinal);
    private FileBufferingReadStream? _file;

    private ChangeForm(HttpContext context, MultipartParts? parts)
    {
        _context = context;
        _parts = parts;
    }

    /// <summary>The file that was chosen, once the form has been read; null for none.</summary>
    public Stream? File => _file;

    /// <summary>Begins to read a form, whose length has been bounded.</summary>
    /// <exception cref="RefusedException">It is no form, or its token is missing or not valid (400).</exception>
    public static async ValueTask<ChangeForm> OpenAsync(HttpContext context, DashboardParts dashboard)
    {
        var request = context.Request;
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type))
        {
            throw Malformed("A change must be sent as a form.");
        }

        ChangeForm form;
        if (type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase))
        {
            form = new ChangeForm(context, new MultipartParts(context));
            if (dashboard.FormOptions.HeaderName is not { } header || StringValues.IsNullOrEmpty(request.Headers[header]))
            {
                await form.ReadTokenAsync(dashboard.FormOptions.FormFieldName).ConfigureAwait(false);
            }
        }
        else if (type.MediaType.Equals("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase))
        {
            form = new ChangeForm(context, parts: null);
            await form.ReadEncodedAsync().ConfigureAwait(false);
        }
        else
        {
            throw Malformed("A change must be sent as a form.");
        }

        await form.CheckTokenAsync(dashboard).ConfigureAwait(false);
        return form;
    }

    /// <summary>The text of a field; null when it was not sent.</summary>
    public string? Text(string name) => _fields.GetValueOrDefault(name);

    /// <summary>Reads the rest of a form in parts. A file that is not small waits outside memory until all is there.</summary>
    /// <exception cref="RefusedException">It is malformed (400), or a text or the file is too long (413).</exception>
    public async ValueTask ReadAsync(long fileBytesMax)
    {
        while (await NextAsync().ConfigureAwait(false) is { } section)
        {
            var disposition = Disposition(section);
            var name = HeaderUtilities.RemoveQuotes(disposition.Name).Value ?? "";
            if (!disposition.IsFileDisposition())
            {
                Add(name, TextOf(await ReadBytesAsync(section.Body, TextBytesMax).ConfigureAwait(false)));
            }
            else if (IsChosen(disposition))
            {
                await TakeFileAsync(section.Body, fileBytesMax).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Reads on to the file, which is not read itself; null when none was chosen.</summary>
    public async ValueTask<Stream?> NextFileAsync()
    {
        while (await NextAsync().ConfigureAwait(false) is { } section)
        {
            var disposition = Disposition(section);
            if (disposition.IsFileDisposition() && IsChosen(disposition))
            {
                return section.Body;
            }
        }

        return null;
    }

    public ValueTask DisposeAsync() => _file?.DisposeAsync() ?? default;

    private static bool IsChosen(ContentDispositionHeaderValue disposition) =>
        HeaderUtilities.RemoveQuotes(disposition.FileName).Length > 0 || HeaderUtilities.RemoveQuotes(disposition.FileNameStar).Length > 0;

    private async ValueTask ReadTokenAsync(string fieldName)
    {
        if (await NextAsync().ConfigureAwait(false) is { } section && Disposition(section).IsFormDisposition())
        {
            var name = HeaderUtilities.RemoveQuotes(Disposition(section).Name).Value;
            if (name == fieldName)
            {
                Add(name, TextOf(await ReadBytesAsync(section.Body, TokenBytesMax).ConfigureAwait(false)));
            }
        }
    }

    private async ValueTask ReadEncodedAsync()
    {
        using var reader = new FormReader(_context.Request.Body) { ValueCountLimit = FieldsMax, KeyLengthLimit = 128, ValueLengthLimit = TextBytesMax };
        try
        {
            foreach (var (name, values) in await reader.ReadFormAsync(_context.RequestAborted).ConfigureAwait(false))
            {
                Add(name, values[0] ?? "");
            }
        }
        catch (Exception e) when (e is InvalidDataException or (IOException and not BadHttpRequestException) && !_context.RequestAborted.IsCancellationRequested)
        {
            throw Malformed("The form is malformed or too long. Nothing was changed.");
        }
    }

    // The framework looks for the token in a header or in the form, which it would read itself, all of it.
    private async ValueTask CheckTokenAsync(DashboardParts dashboard)
    {
        var (fieldName, headerName) = (dashboard.FormOptions.FormFieldName, dashboard.FormOptions.HeaderName);
        if (_fields.Remove(fieldName, out var token))
        {
            _context.Request.Form = new FormCollection(new Dictionary<string, StringValues> { [fieldName] = token });
            if (headerName is not null)
            {
                _context.Request.Headers[headerName] = token;
            }
        }
        else
        {
            _context.Request.Form = FormCollection.Empty;
        }

        if (!await dashboard.Antiforgery.IsRequestValidAsync(_context).ConfigureAwait(false))
        {
            throw Malformed("This form is not from a page that was open here, or the page has been open for too long. Nothing was changed: go back, reload the page and try again.");
        }
    }

    private async ValueTask<MultipartSection?> NextAsync()
    {
        return _parts is null ? null : await _parts.NextAsync().ConfigureAwait(false);
    }

    private async ValueTask<byte[]> ReadBytesAsync(Stream body, int bytesMax)
    {
        using var bytes = new MemoryStream();
        var buffer = new byte[4096];
        while (await body.ReadAsync(buffer, _context.RequestAborted).ConfigureAwait(false) is var read and > 0)
        {
            if (bytes.Length + read > bytesMax)
            {
                throw new RefusedException(new Failure(413, 10025, Invariant($"A text typed in here may have at most {bytesMax} bytes. Choose a file instead.")));
            }

            bytes.Write(buffer, 0, read);
        }

        return bytes.ToArray();
    }

    private async ValueTask TakeFileAsync(Stream body, long bytesMax)
    {
        if (_file is not null)
        {
            throw Malformed("The form has more than one file.");
        }

        _file = new FileBufferingReadStream(body, InMemoryBytesMax, bytesMax + 1, Path.GetTempPath());
        try
        {
            await _file.DrainAsync(_context.RequestAborted).ConfigureAwait(false);
        }
        catch (IOException) when (_file.Length > bytesMax)
        {
            // It stops by itself one byte later.
            throw new RefusedException(new Failure(413, 10025, Invariant($"The file is longer than the limit of {bytesMax} bytes. Nothing was changed.")));
        }

        if (_file.Length > bytesMax)
        {
            throw new RefusedException(new Failure(413, 10025, Invariant($"The file is longer than the limit of {bytesMax} bytes. Nothing was changed.")));
        }

        _file.Position = 0;
    }

    private void Add(string name, string text)
    {
        if (_fields.Count >= FieldsMax || !_fields.TryAdd(name, text))
        {
            throw Malformed("The form has a field twice, or too many fields.");
        }
    }

    private static string TextOf(byte[] bytes)
    {
        try
        {
            return s_strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw Malformed("A field of the form is not UTF-8.");
        }
    }

    private static ContentDispositionHeaderValue Disposition(MultipartSection section) =>
        ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out var disposition)
            ? disposition
            : throw Malformed("A part of the form has no name.");

    private static RefusedException Malformed(string message) => new(Failure.Malformed(message));
}
