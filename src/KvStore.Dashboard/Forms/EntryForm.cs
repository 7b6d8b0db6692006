using KvStore.Dashboard.Layout;
using KvStore.Dashboard.Markup;
using KvStore.Dashboard.Requests;
using KvStore.Http;

namespace KvStore.Dashboard.Forms;

/// <summary>The form for an entry, with the errors beside their fields.</summary>
internal sealed class EntryForm(Visit visit, EntryDraft draft)
{
    private readonly Dictionary<string, string> _errors = new(StringComparer.Ordinal);

    /// <summary>The key of an entry that exists; null for a new entry, whose key is typed.</summary>
    public string? Key { get; init; }

    /// <summary>The key as it was typed.</summary>
    public string TypedKey { get; init; } = "";

    /// <summary>The present expiration of the entry; null for none.</summary>
    public DateTimeOffset? Current { get; init; }

    /// <summary>Why the page has no field for the value; null when it has one.</summary>
    public string? NotTyped { get; init; }

    public bool IsValid => _errors.Count == 0;

    /// <summary>Adds an error to a field, unless the field has one.</summary>
    public void Refuse(string field, string error) => _errors.TryAdd(field, error);

    /// <summary>Adds the error of a namespace to the field of the argument that it refused.</summary>
    public void Refuse(Exception refusal)
    {
        var argument = refusal is KvException kv ? kv.ParamName : (refusal as ArgumentException)?.ParamName;
        var field = argument switch
        {
            "metadata" or "value" => argument,
            "expiration" or "expirationTtl" => "expiry",

            // Where the key is fixed there is no field for it.
            "key" when Key is null => "key",
            _ => "form",
        };
        Refuse(field, Failure.Of(refusal, isNamespaceGone: false)!.Value.Message);
    }

    public Html Render(string action, string cancel) => Html.Of($"""
        {PageLayout.Alert(_errors.GetValueOrDefault("form"))}
        <form method="post" enctype="multipart/form-data" action="{action}" class="card entry">
        {visit.TokenField()}
        <input type="hidden" name="stamp" value="{draft.Stamp}">
        <input type="hidden" name="newline" value="{(draft.IsCrLf ? "crlf" : "lf")}">
        {KeyField()}
        {ValueField()}
        {new Field("file", draft.Text is null ? "Replace the value by a file" : "Or take the value from a file", Error("file"), $"At most {Format.Bytes(visit.Limits.ValueBytesMax)}.").Render(aria => Html.Of($"""
            <input type="file" id="file" name="file" {aria}>
            """))}
        {new Field("metadata", "Metadata", Error("metadata"), $"JSON, at most {Format.Bytes(visit.Limits.MetadataBytesMax)}; empty for none.").Render(aria => Html.Of($"""
            <textarea id="metadata" name="metadata" rows="4" class="code" spellcheck="false" {aria}>{"\n"}{draft.Metadata}</textarea>
            """))}
        {ExpiryField()}
        <div class="actions"><button>Save</button> <a class="button plain" href="{cancel}">Cancel</a></div>
        </form>

        """);

    private string? Error(string field) => _errors.GetValueOrDefault(field);

    private Html KeyField() => Key is not null
        ? default
        : new Field("key", "Key", Error("key"), Invariant($"1 to {visit.Limits.KeyBytesMax} bytes of UTF-8.")).Render(aria => Html.Of($"""
            <input type="text" id="key" name="key" value="{TypedKey}" class="code" autocomplete="off" spellcheck="false" required {aria}>
            """));

    private Html ValueField() => NotTyped is not null
        ? Html.Of($"""<p class="note">{NotTyped}</p>""")
        : new Field("value", "Value", Error("value")).Render(aria => Html.Of($"""
            <textarea id="value" name="value" rows="12" class="code" spellcheck="false" {aria}>{"\n"}{draft.Text}</textarea>
            """));

    private Html ExpiryField()
    {
        var field = new Field("expiry", "Expiration", Error("expiry"), $"At least {Format.Count((long)visit.Limits.ExpirationTtlMin.TotalSeconds, "second", "seconds")} from now; times are in UTC.");
        return Html.Of($"""
            <fieldset class="field choices" {field.Attributes()}>
            <legend>Expiration</legend>
            {(Current is { } at ? Choice("keep", Html.Of($"""Keep: {Format.Expiration(at, visit.Now)}""")) : default)}
            {Choice("never", Html.Text("Never"))}
            {Choice("ttl", Html.Text("After"), Html.Of($"""
                <input type="number" name="ttl" value="{draft.Ttl}" min="1" step="1" aria-label="Time to live" class="short">
                <select name="unit" aria-label="Unit of the time to live">{EntryDraft.Units.Select(unit => unit.Seconds == draft.Unit ? Html.Of($"""<option value="{unit.Seconds}" selected>{unit.Name}</option>""") : Html.Of($"""<option value="{unit.Seconds}">{unit.Name}</option>"""))}</select>
                """))}
            {Choice("at", Html.Text("At"), Html.Of($"""<input type="datetime-local" name="at" value="{draft.At}" step="1" aria-label="Date and time in UTC">"""))}
            <p class="hint" id="expiry-hint">{field.Hint}</p>
            {field.ErrorText()}
            </fieldset>

            """);
    }

    private Html Choice(string value, Html text, Html more = default) => Html.Of($"""
        <div class="choice"><label><input type="radio" name="expiry" value="{value}"{(draft.Expiry == value ? Html.Of($" checked") : default)}> {text}</label> {more}</div>

        """);
}
