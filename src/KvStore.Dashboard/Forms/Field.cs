using KvStore.Dashboard.Markup;

namespace KvStore.Dashboard.Forms;

/// <summary>A field of a form with its label, hint and error, which are tied to the input for screen readers.</summary>
/// <param name="Id">The id and name of the input.</param>
/// <param name="Label">The label.</param>
/// <param name="Error">The error; null for none.</param>
/// <param name="Hint">What is allowed; null for no hint.</param>
internal sealed record Field(string Id, string Label, string? Error, string? Hint = null)
{
    /// <summary>The field with its input. The function gets the attributes that tie the input to the texts.</summary>
    public Html Render(Func<Html, Html> input) => Html.Of($"""
        <div class="field">
        <label for="{Id}">{Label}</label>
        {input(Attributes())}
        {(Hint is null ? default : Html.Of($"""<p class="hint" id="{Id}-hint">{Hint}</p>"""))}
        {ErrorText()}
        </div>

        """);

    /// <summary>The error, for a field with a layout of its own.</summary>
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
