using System.ComponentModel;

namespace KvStore.Caching.Tests.Hybrid;

/// <summary>A value that callers may change, so that each needs its own.</summary>
public sealed class Basket
{
    public string Owner { get; set; } = "";

    public List<string> Items { get; set; } = [];
}

/// <summary>A value that nobody changes.</summary>
[ImmutableObject(true)]
public sealed record Price(string Product, int Cents);

/// <summary>Nobody says that it never changes.</summary>
public sealed record Undeclared(string Text);

/// <summary>Says it, but has subclasses that may change.</summary>
[ImmutableObject(true)]
public record Open(string Text);

public readonly record struct Point(int X, int Y);

[ImmutableObject(true)]
public readonly record struct Label(string Text);
