using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using KvStore.Dashboard.Entries;
using KvStore.Dashboard.Forms;
using KvStore.Dashboard.Layout;
using KvStore.Dashboard.Markup;
using KvStore.Dashboard.Requests;
using Microsoft.AspNetCore.Http;

namespace KvStore.Dashboard.Pages;

/// <summary>Edits an entry, or makes a new one. A change that somebody else has made meanwhile is shown before it is overwritten.</summary>
internal static class EditPage
{
    private const string Changed = "Somebody has changed this entry since you opened it, and nothing was saved. Look at it, and save again to overwrite it with what stands here.";

    // The fields of a form beside the file.
    private const int FieldsBytesMax = 2 * ChangeForm.TextBytesMax;

    public static long FormBytesMax(Visit visit) => (long)visit.Limits.ValueBytesMax + FieldsBytesMax;

    public static async Task ShowEditAsync(Visit visit)
    {
        var key = visit.Key();
        var value = await visit.ReadAsync(key).ConfigureAwait(false);
        try
        {
            var (text, reason, isCrLf) = await TypedAsync(visit, value).ConfigureAwait(false);
            var stamp = await EntryVersion.StampOfAsync(value, visit.Aborted).ConfigureAwait(false);
            var draft = new EntryDraft(text, isCrLf, Indented(value.Metadata), value.Expiration is null ? "never" : "keep", "", "3600", "", stamp);
            await WriteAsync(visit, new EntryForm(visit, draft) { Key = key, Current = value.Expiration, NotTyped = reason }, key, alert: null, 200).ConfigureAwait(false);
        }
        finally
        {
            visit.Release(value);
        }
    }

    public static Task ShowNewAsync(Visit visit)
    {
        var draft = new EntryDraft("", IsCrLf: false, "", "never", "", "3600", "", EntryVersion.Absent);
        return WriteAsync(visit, new EntryForm(visit, draft) { TypedKey = visit.Query("prefix") }, key: null, alert: null, 200);
    }

    public static async Task SaveAsync(Visit visit, ChangeForm form)
    {
        var key = visit.Key();
        await form.ReadAsync(visit.Limits.ValueBytesMax).ConfigureAwait(false);
        await PutAsync(visit, form, key, typedKey: null).ConfigureAwait(false);
    }

    public static async Task CreateAsync(Visit visit, ChangeForm form)
    {
        await form.ReadAsync(visit.Limits.ValueBytesMax).ConfigureAwait(false);
        var key = form.Text("key") ?? "";
        try
        {
            visit.Limits.CheckKey(key, "PUT");
        }
        catch (Exception e) when (e is ArgumentException or KvException)
        {
            var refused = new EntryForm(visit, EntryDraft.Of(form)) { TypedKey = key };
            refused.Refuse(e);
            await WriteAsync(visit, refused, key: null, alert: null, 400).ConfigureAwait(false);
            return;
        }

        await PutAsync(visit, form, key, typedKey: key).ConfigureAwait(false);
    }

    private static async Task PutAsync(Visit visit, ChangeForm form, string key, string? typedKey)
    {
        while (!await TryAnswerAsync(visit, form, key, typedKey).ConfigureAwait(false))
        {
            // Somebody has written the entry since it was read here: it is read again, and the answer shows the change.
        }
    }

    // Returns false when somebody has written the entry meanwhile; nothing has been answered then.
    private static async ValueTask<bool> TryAnswerAsync(Visit visit, ChangeForm form, string key, string? typedKey)
    {
        var value = await visit.ReadAsync(key).ConfigureAwait(false);
        try
        {
            var stamp = await EntryVersion.StampOfAsync(value, visit.Aborted).ConfigureAwait(false);
            var typed = EntryDraft.Of(form);
            var hasChanged = stamp != typed.Stamp;
            var entryForm = new EntryForm(visit, typed with { Stamp = stamp })
            {
                Key = typedKey is null ? key : null,
                TypedKey = typedKey ?? "",
                Current = value.Expiration,
                NotTyped = typed.Text is null ? (await TypedAsync(visit, value).ConfigureAwait(false)).Reason : null,
            };
            if (hasChanged)
            {
                var alert = typedKey is null ? Changed : "There is an entry with this key already, and nothing was saved. Look at it, and save again to overwrite it with what stands here.";
                await WriteAsync(visit, entryForm, key, alert, StatusCodes.Status409Conflict, isConflict: true).ConfigureAwait(false);
                return true;
            }

            var isSaved = await TryPutAsync(visit, form, typed, key, value, entryForm).ConfigureAwait(false);
            if (isSaved)
            {
                await visit.SeeOther(visit.Links.Entry(visit.Id, key, done: "saved")).ConfigureAwait(false);
            }
            else if (!entryForm.IsValid)
            {
                await WriteAsync(visit, entryForm, typedKey is null ? key : null, alert: null, 400).ConfigureAwait(false);
            }

            return isSaved || !entryForm.IsValid;
        }
        finally
        {
            visit.Release(value);
        }
    }

    // Adds all errors to the form at once, and then changes nothing. Without an error it returns false when somebody has written the entry
    // meanwhile.
    private static async ValueTask<bool> TryPutAsync(Visit visit, ChangeForm form, EntryDraft typed, string key, KvValue current, EntryForm entryForm)
    {
        var metadata = default(KvMetadata);
        (TimeSpan? Ttl, DateTimeOffset? At) expiry = default;
        Try("metadata", () => metadata = typed.ParseMetadata(visit.Limits));
        Try("expiry", () => expiry = typed.ParseExpiry(current.Expiration));
        var text = form.File is null ? typed.StoredText : null;
        if (text is not null && Encoding.UTF8.GetByteCount(text) is var length && length > visit.Limits.ValueBytesMax)
        {
            entryForm.Refuse("value", Invariant($"Value length of {length} exceeds limit of {visit.Limits.ValueBytesMax}."));
        }

        if (form.File is null && text is null && !current.Exists)
        {
            entryForm.Refuse("file", "Choose a file: there is no value yet.");
        }

        if (!entryForm.IsValid)
        {
            return false;
        }

        if (form.File is not null)
        {
            // A put that came to nothing may have read it.
            form.File.Position = 0;
        }

        try
        {
            KvContent content = form.File is { } file ? file
                : text is not null ? text
                : current.IsLarge ? current.OpenStream()
                : current.GetBytes();
            var options = new KvPutOptions { ExpirationTtl = expiry.Ttl, Expiration = expiry.At, Metadata = metadata };
            return await EntryVersion.TryPutAsync(visit.Entry.Namespace, key, content, current, options, visit.Aborted).ConfigureAwait(false);
        }
        catch (Exception e) when (e is KvException or ArgumentException)
        {
            entryForm.Refuse(e);
            return false;
        }

        void Try(string field, Action parse)
        {
            try
            {
                parse();
            }
            catch (FormatException e)
            {
                entryForm.Refuse(field, e.Message);
            }
        }
    }

    private static Task WriteAsync(Visit visit, EntryForm form, string? key, string? alert, int status, bool isConflict = false)
    {
        var isNew = form.Key is null;
        var action = isNew ? visit.Links.New(visit.Id) : visit.Links.Edit(visit.Id, form.Key!);
        var cancel = isNew ? visit.Links.Keys(visit.Id) : visit.Links.Entry(visit.Id, form.Key!);
        return PageWriter.WriteAsync(
            visit,
            isNew ? "New entry" : $"Edit {VisibleText.Plain(form.Key!)}",
            Html.Of($"""
                {PageLayout.Trail(visit)}
                <h1>{(isNew ? Html.Text("New entry") : Html.Of($"""Edit <span class="key">{VisibleText.Of(form.Key!)}</span>"""))}</h1>
                {PageLayout.Alert(alert)}
                {(isConflict && key is not null ? Html.Of($"""<p><a href="{visit.Links.Entry(visit.Id, key)}" target="_blank" rel="noopener">What stands there now (in a new tab)</a></p>""") : default)}
                {form.Render(action, cancel)}

                """),
            status);
    }

    // The value as a text that can be edited in a page, or the reason why it cannot be edited.
    private static async ValueTask<(string? Text, string? Reason, bool IsCrLf)> TypedAsync(Visit visit, KvValue value)
    {
        if (!value.Exists)
        {
            return ("", null, false);
        }

        if (value.Length > ValuePreview.EditBytesMax)
        {
            return (null, $"The value is too long to be edited here ({Format.Bytes(value.Length)}). It stays as it is, unless you choose a file.", false);
        }

        var whole = await ValuePreview.OfAsync(value, ValuePreview.EditBytesMax, visit.Aborted).ConfigureAwait(false);
        if (!whole.IsText)
        {
            return (null, "The value is not text, and would be damaged by editing it here. It stays as it is, unless you choose a file.", false);
        }

        var text = whole.Text;
        return ValuePreview.IsEditable(text, out var hasCrLf)
            ? (text, null, hasCrLf)
            : (null, "The value holds control characters, or line ends of several kinds, and would be damaged by editing it here. It stays as it is, unless you choose a file.", false);
    }

    private static string Indented(KvMetadata metadata)
    {
        if (metadata.IsNull)
        {
            return "";
        }

        using var buffer = new MemoryStream();
        using (var json = JsonDocument.Parse(metadata.Utf8Json, new JsonDocumentOptions { MaxDepth = KvLimits.JsonDepthMax }))
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = KvLimits.JsonDepthMax }))
        {
            json.RootElement.WriteTo(writer);
        }

        // Metadata that indenting would make much longer is shown as it is stored.
        return buffer.Length > 8 * 1024 ? metadata.ToString() : Encoding.UTF8.GetString(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
    }
}
