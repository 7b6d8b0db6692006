using KvStore.Dashboard.Markup;

namespace KvStore.Dashboard.Forms;

/// <summary>A field of a form: its label, what is allowed, and what was wrong with what was typed, tied to it for who cannot see.</summary>
/// <param name="Id">The id and name of the input.</param>
/// <param name="Label">What it is.</param>
/// <param name="Error">What was wrong; null when nothing was.</param>
/// <param name="Hint">What is allowed; null when that is plain.</param>
internal sealed record Field(string Id, string Label, string? Error, string? Hint = null)
{
    /// <summary>The field around its input, which gets the attributes that tie it to the texts.</summary>
    public Html Render(Func<Html, Html> input) => Html.Of($"""
        <div class="field">
        <label for="{Id}">{Label}</label>
        {input(Attributes())}
        {(Hint is null ? default : Html.Of($"""<p class="hint" id="{Id}-hint">{Hint}</p>"""))}
        {ErrorText()}
        </div>

        """);

    /// <summary>The message, for a field that is laid out in another way.</summary>
    public Html ErrorText() => Error is null ? default : Html.Of($"""<p class="error" id="{Id}-error" role="alert">{Error}</p>""");

    public Html Attributes()
    {
        var describedBy = (Hint, Error) switch
        {
            (null, null) => default,
            (not null, null) => Html.Of($"""aria-describedby="{Id}-hint" """),
            (null, not null) => Html.Of($"""aria-describedby="{Id}-error" """),
            _ => Html.Of($"""aria-describedby="{Id}-error {Id}-hint" """),
        };
        return Error is null ? describedBy : Html.Of($"""{describedBy}aria-invalid="true" """);
    }
}
