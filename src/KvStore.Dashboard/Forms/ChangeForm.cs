using System.Text;
using KvStore.Dashboard.Requests;
using KvStore.Http;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace KvStore.Dashboard.Forms;

/// <summary>
/// A form for a change. No form opens without a valid anti-forgery token, and of a form in parts only the first part is
/// read to find the token. A text is kept byte for byte: a byte order mark and the kind of line breaks stay.
/// </summary>
internal sealed class ChangeForm : IAsyncDisposable
{
    /// <summary>The longest text of a field, in bytes.</summary>
    public const int TextBytesMax = 1024 * 1024;

    private const int TokenBytesMax = 4096;
    private const int FieldsMax = 32;

    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly Visit _visit;
    private readonly MultipartBody? _parts;
    private readonly Dictionary<string, string> _fields = new(StringComparer.Ordinal);

    private ChangeForm(Visit visit, MultipartBody? parts)
    {
        _visit = visit;
        _parts = parts;
    }

    /// <summary>The file that was chosen, after the form has been read; null for none.</summary>
    public Stream? File { get; private set; }

    /// <summary>Begins to read a form, whose length has been bounded.</summary>
    /// <exception cref="RefusedException">The body is no form, or its token is missing or not valid (400).</exception>
    public static async ValueTask<ChangeForm> OpenAsync(Visit visit)
    {
        var request = visit.Http.Request;
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type))
        {
            throw Malformed("A change must be sent as a form.");
        }

        ChangeForm form;
        if (type.MediaType.Equals(MultipartBody.MediaType, StringComparison.OrdinalIgnoreCase))
        {
            form = new ChangeForm(visit, new MultipartBody(visit.Http));
            var options = visit.Dashboard.FormOptions;
            if (options.HeaderName is not { } header || StringValues.IsNullOrEmpty(request.Headers[header]))
            {
                await form.ReadTokenAsync(options.FormFieldName).ConfigureAwait(false);
            }
        }
        else if (type.MediaType.Equals("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase))
        {
            form = new ChangeForm(visit, parts: null);
            await form.ReadEncodedAsync().ConfigureAwait(false);
        }
        else
        {
            throw Malformed("A change must be sent as a form.");
        }

        await form.CheckTokenAsync().ConfigureAwait(false);
        return form;
    }

    /// <summary>The text of a field; null when the form does not have it.</summary>
    public string? Text(string name) => _fields.GetValueOrDefault(name);

    /// <summary>Reads the rest of a form in parts. A file of more than 64 KiB is kept in a temporary file.</summary>
    /// <exception cref="RefusedException">The form is malformed (400), or a text or the file is too long (413).</exception>
    public async ValueTask ReadAsync(long fileBytesMax)
    {
        while (await NextAsync().ConfigureAwait(false) is { } part)
        {
            if (!part.IsFile)
            {
                Add(part.Name ?? "", await ReadTextAsync(part, TextBytesMax).ConfigureAwait(false));
            }
            else if (part.IsChosenFile)
            {
                File = File is not null ? throw Malformed("The form has more than one file.")
                    : await part.BufferAsync(fileBytesMax).ConfigureAwait(false)
                    ?? throw new RefusedException(Failure.TooLarge(Invariant($"The file is longer than the limit of {fileBytesMax} bytes. Nothing was changed.")));
            }
        }
    }

    /// <summary>Reads on to the file, which is not read itself; null when none was chosen.</summary>
    public async ValueTask<Stream?> NextFileAsync()
    {
        while (await NextAsync().ConfigureAwait(false) is { } part)
        {
            if (part.IsChosenFile)
            {
                return part.Body;
            }
        }

        return null;
    }

    public ValueTask DisposeAsync() => File?.DisposeAsync() ?? default;

    private async ValueTask ReadTokenAsync(string fieldName)
    {
        if (await NextAsync().ConfigureAwait(false) is { IsText: true } part && part.Name == fieldName)
        {
            Add(fieldName, await ReadTextAsync(part, TokenBytesMax).ConfigureAwait(false));
        }
    }

    private async ValueTask ReadEncodedAsync()
    {
        using var reader = new FormReader(_visit.Http.Request.Body) { ValueCountLimit = FieldsMax, KeyLengthLimit = 128, ValueLengthLimit = TextBytesMax };
        try
        {
            foreach (var (name, values) in await reader.ReadFormAsync(_visit.Aborted).ConfigureAwait(false))
            {
                Add(name, values[0] ?? "");
            }
        }
        catch (Exception e) when (MultipartBody.IsFaultOfClient(e, _visit.Aborted))
        {
            throw Malformed("The form is malformed or too long. Nothing was changed.");
        }
    }

    // The framework looks for the token in a header or in the form. To find it in the form it would read all of the form.
    private async ValueTask CheckTokenAsync()
    {
        var request = _visit.Http.Request;
        var options = _visit.Dashboard.FormOptions;
        if (_fields.Remove(options.FormFieldName, out var token))
        {
            request.Form = new FormCollection(new Dictionary<string, StringValues> { [options.FormFieldName] = token });
            if (options.HeaderName is not null)
            {
                request.Headers[options.HeaderName] = token;
            }
        }
        else
        {
            request.Form = FormCollection.Empty;
        }

        if (!await _visit.Dashboard.Antiforgery.IsRequestValidAsync(_visit.Http).ConfigureAwait(false))
        {
            throw Malformed("This form is not from a page that was open here, or the page has been open for too long. Nothing was changed: go back, reload the page and try again.");
        }
    }

    private async ValueTask<MultipartPart?> NextAsync()
    {
        if (_parts is null || await _parts.NextAsync().ConfigureAwait(false) is not { } part)
        {
            return null;
        }

        return part.HasDisposition ? part : throw Malformed("A part of the form has no name.");
    }

    private static async ValueTask<string> ReadTextAsync(MultipartPart part, int bytesMax)
    {
        var bytes = await part.ReadBytesAsync(bytesMax).ConfigureAwait(false)
            ?? throw new RefusedException(Failure.TooLarge(Invariant($"A text typed in here may have at most {bytesMax} bytes. Choose a file instead.")));
        try
        {
            return s_strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw Malformed("A field of the form is not UTF-8.");
        }
    }

    private void Add(string name, string text)
    {
        if (_fields.Count >= FieldsMax || !_fields.TryAdd(name, text))
        {
            throw Malformed("The form has a field twice, or too many fields.");
        }
    }

    private static RefusedException Malformed(string message) => new(Failure.Malformed(message));
}
