namespace KvStore;

/// <summary>The key template of a method of a typed namespace (<see cref="KvNamespaceAttribute"/>).</summary>
/// <param name="template">
/// Text with a placeholder for each parameter of the method, for example <c>flag:{tenant}:{name}</c>. <c>{{</c> and <c>}}</c> stand
/// for braces. In an argument, <c>%</c> and the template's own punctuation are escaped (<c>a:b</c> becomes <c>a%3Ab</c>), so that
/// two different arguments never make the same key.
/// </param>
[AttributeUsage(AttributeTargets.Method)]
public sealed class KvKeyAttribute(string template) : Attribute
{
    /// <summary>The template.</summary>
    public string Template { get; } = template;

    /// <summary>How long an entry lives after a put, in seconds; at least 60 (<see cref="KvNamespaceAttribute.TtlSecondsMin"/>). Default 0: until it is deleted.</summary>
    public int TtlSeconds { get; set; }
}
