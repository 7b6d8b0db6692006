using KvStore.Generators.Model;
using KvStore.Generators.Templates;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace KvStore.Generators;

/// <summary>Reads an interface with <c>[KvNamespace]</c>.</summary>
internal sealed class TypedNamespaceReader
{
    private const string KeyAttribute = "KvStore.KvKeyAttribute";

    private readonly List<Finding> _findings = [];
    private readonly List<EntryModel> _entries = [];
    private readonly List<FileSpan?> _entryPlaces = [];
    private readonly List<ListingModel> _listings = [];
    private readonly INamedTypeSymbol _type;
    private readonly StoredTypes _stored;
    private readonly int _keyBytesMax;
    private readonly int _ttlSecondsMin;

    private TypedNamespaceReader(INamedTypeSymbol type, AttributeData attribute)
    {
        _type = type;
        _keyBytesMax = attribute.Named("KeyBytesMax") as int? ?? 512;
        _ttlSecondsMin = attribute.Named("TtlSecondsMin") as int? ?? 60;
        _stored = new StoredTypes(attribute.Named("JsonContext") as INamedTypeSymbol, _findings);
    }

    /// <summary>Reads an interface.</summary>
    public static TypedNamespaceReading Read(GeneratorAttributeSyntaxContext context, CancellationToken cancellationToken)
    {
        var attribute = context.Attributes[0];
        var reader = new TypedNamespaceReader((INamedTypeSymbol)context.TargetSymbol, attribute);
        var model = reader.Read((InterfaceDeclarationSyntax)context.TargetNode, attribute, cancellationToken);
        return new(model, new(reader._findings));
    }

    private TypedNamespaceModel? Read(InterfaceDeclarationSyntax declaration, AttributeData attribute, CancellationToken cancellationToken)
    {
        if (!IsPartial(declaration))
        {
            Report(KvRules.NotPartial, declaration.Identifier.GetLocation(), TypeText.Short(_type));
            return null;
        }

        // An argument that does not bind takes the others with it, so nothing else can be said.
        if (attribute.First() is not { } name)
        {
            Report(KvRules.NotLiteral, LocationOfArgument(attribute));
            return null;
        }

        var methods = _type.GetMembers().Where(static member => !member.IsStatic && !IsAccessor(member)).ToList();
        foreach (var member in methods.Where(static member => !IsListing(member)))
        {
            cancellationToken.ThrowIfCancellationRequested();
            ReadEntry(member);
        }

        foreach (var member in methods.Where(IsListing))
        {
            ReadListing((IMethodSymbol)member);
        }

        foreach (var inherited in _type.AllInterfaces)
        {
            Report(KvRules.BadMember, declaration.Identifier.GetLocation(), TypeText.Short(_type), $"it inherits {TypeText.Short(inherited)}");
        }

        FindOverlaps();
        FindTakenNames(methods.OfType<IMethodSymbol>());
        if (_findings.Any(static finding => finding.Descriptor.DefaultSeverity == DiagnosticSeverity.Error))
        {
            return null;
        }

        return new TypedNamespaceModel(
            name,
            FileSpan.Of(LocationOfArgument(attribute)),
            _type.ContainingNamespace.IsGlobalNamespace ? "" : _type.ContainingNamespace.ToDisplayString(),
            new(ContainersOf(declaration)),
            Identifiers.Escape(_type.Name),
            TypeText.Of(_type),
            IsVisible(_type),
            _keyBytesMax,
            new(_entries),
            new(_listings));
    }

    private void ReadEntry(ISymbol member)
    {
        var place = PlaceOf(member);
        if (member is not IMethodSymbol { MethodKind: MethodKind.Ordinary, IsAbstract: true, IsGenericMethod: false } method
            || !IsOf(method.ReturnType, "KvTypedEntry", out var type))
        {
            Report(KvRules.BadMember, place, member.Name, "make it one of these, or take it out of the interface");
            return;
        }

        var attribute = method.GetAttributes().FirstOrDefault(IsKey);
        if (attribute is null)
        {
            Report(KvRules.BadMember, place, member.Name, "it has no [KvKey]");
            return;
        }

        if (ReadTemplate(attribute) is not { } template || ReadParameters(method, template, all: true) is not { } parameters)
        {
            return;
        }

        CheckLength(template, parameters, LocationOfArgument(attribute) ?? place);
        var ttl = attribute.Named("TtlSeconds") as int?;
        if (ttl is { } seconds && seconds < _ttlSecondsMin)
        {
            Report(KvRules.TtlTooShort, LocationOf(attribute) ?? place, Text(seconds), Text(_ttlSecondsMin));
        }

        var value = _stored.Value(type!.TypeArguments[0], place);
        var metadata = _stored.Metadata(type.TypeArguments[1], place);
        if (value is not null && metadata is not null)
        {
            if (_entries.Any(entry => entry.Name == method.Name))
            {
                Report(KvRules.BadMember, place, member.Name, "there are two methods of that name");
                return;
            }

            _entries.Add(new EntryModel(method.Name, template, new(parameters), ttl ?? 0, value, metadata, TypesOf(type)));
            _entryPlaces.Add(FileSpan.Of(place));
        }
    }

    private void ReadListing(IMethodSymbol method)
    {
        var place = PlaceOf(method);
        if (method is not { MethodKind: MethodKind.Ordinary, IsAbstract: true, IsGenericMethod: false })
        {
            Report(KvRules.BadMember, place, method.Name, "make it one of these, or take it out of the interface");
            return;
        }

        _ = IsOf(method.ReturnType, "KvTypedEntries", out var type);
        var attribute = method.GetAttributes().FirstOrDefault(IsKey);
        var candidates = new List<int>();
        for (var i = 0; i < _entries.Count; i++)
        {
            var entry = _entries[i];
            var isOfTypes = entry.Value.Type == TypeText.Of(type!.TypeArguments[0]) && entry.Metadata.Type == TypeText.Of(type.TypeArguments[1]);
            var isOfParameters = method.Parameters.Length <= entry.Template.Placeholders.Count
                && method.Parameters.Select(static p => (p.Name, TypeText.Of(p.Type))).SequenceEqual(
                    entry.InKeyOrder.Take(method.Parameters.Length).Select(static p => (p.Name, p.Type)));
            var isOfTemplate = attribute is null || attribute.First() == entry.Template.Text;
            if (isOfTypes && isOfParameters && isOfTemplate)
            {
                candidates.Add(i);
            }
        }

        // Entries that have errors are not among the candidates: one error is enough then.
        if (candidates.Count != 1)
        {
            if (!_findings.Any(static finding => finding.Descriptor.DefaultSeverity == DiagnosticSeverity.Error))
            {
                var wanted = $"KvTypedEntry<{TypeText.Short(type!.TypeArguments[0])}, {TypeText.Short(type.TypeArguments[1])}>";
                Report(KvRules.NoEntry, place, method.Name, wanted, Text(candidates.Count));
            }

            return;
        }

        var parameters = _entries[candidates[0]].InKeyOrder.Take(method.Parameters.Length);
        _listings.Add(new ListingModel(method.Name, new(parameters), TypesOf(type!), candidates[0]));
    }

    private KeyTemplate? ReadTemplate(AttributeData attribute)
    {
        var place = LocationOfArgument(attribute);
        var template = KeyTemplate.Parse(attribute.First() ?? "", out var at, out var problem);
        if (template is null)
        {
            Report(KvRules.BadTemplate, place, Text(at), problem!);
        }
        else if (template.Undivided() is { } placeholder)
        {
            Report(KvRules.NotDivided, place, placeholder);
            return null;
        }

        return template;
    }

    private List<KeyParameter>? ReadParameters(IMethodSymbol method, KeyTemplate template, bool all)
    {
        List<KeyParameter> parameters = [];
        var isWhole = true;
        foreach (var parameter in method.Parameters)
        {
            if (KeyParameterReader.Read(parameter) is not { } read)
            {
                isWhole = false;
                Report(KvRules.ParameterType, PlaceOf(parameter), parameter.Name, TypeText.Short(parameter.Type));
            }
            else
            {
                parameters.Add(read);
            }

            if (all && !template.Placeholders.Contains(parameter.Name))
            {
                isWhole = false;
                Report(KvRules.NoPlaceholder, PlaceOf(parameter), parameter.Name);
            }
        }

        foreach (var placeholder in template.Placeholders.Where(name => !method.Parameters.Any(parameter => parameter.Name == name)))
        {
            isWhole = false;
            var names = string.Join(", ", method.Parameters.Select(static parameter => parameter.Name));
            var attribute = method.GetAttributes().First(IsKey);
            Report(KvRules.NoParameter, LocationOfArgument(attribute), placeholder, names.Length > 0 ? names : "none");
        }

        return isWhole ? parameters : null;
    }

    // What can be known before there are arguments: the literals, and what numbers and the like take at most.
    private void CheckLength(KeyTemplate template, List<KeyParameter> parameters, Location? place)
    {
        var unbounded = parameters.Count(static parameter => parameter.BytesMax is null);
        var bytes = template.LiteralBytes + parameters.Sum(parameter => parameter.EscapedBytesMax(template) ?? 0);
        if (template.LiteralBytes > _keyBytesMax)
        {
            Report(KvRules.TooLong, place, $"The text of the template alone has {Text(template.LiteralBytes)} bytes", Text(_keyBytesMax));
        }
        else if (bytes + unbounded > _keyBytesMax)
        {
            var strings = unbounded == 0 ? "" : ", which leaves no space for its strings";
            Report(KvRules.TooLong, place, $"Keys of this template can have {Text(bytes)} bytes{strings}", Text(_keyBytesMax));
        }
    }

    private void FindOverlaps()
    {
        for (var i = 0; i < _entries.Count; i++)
        {
            for (var j = 0; j < i; j++)
            {
                if (KeyOverlap.Exists(_entries[i].Template, _entries[i].Parameters, _entries[j].Template, _entries[j].Parameters))
                {
                    _findings.Add(Finding.Of(KvRules.KeysOverlap, _entryPlaces[i], _entries[i].Template.Text, _entries[j].Template.Text));
                }
            }
        }
    }

    private static string TypesOf(INamedTypeSymbol type) => $"{TypeText.Annotated(type.TypeArguments[0])}, {TypeText.Annotated(type.TypeArguments[1])}";

    private static bool IsListing(ISymbol member) => member is IMethodSymbol method && IsOf(method.ReturnType, "KvTypedEntries", out _);

    private static bool IsAccessor(ISymbol member) => member is IMethodSymbol { AssociatedSymbol: not null } or INamedTypeSymbol;

    private static bool IsKey(AttributeData attribute) => attribute.AttributeClass?.ToDisplayString() == KeyAttribute;

    private static bool IsOf(ITypeSymbol type, string name, out INamedTypeSymbol? named)
    {
        named = type as INamedTypeSymbol;
        return named is { Arity: 2, ContainingType: null, ContainingNamespace: { Name: "KvStore", ContainingNamespace.IsGlobalNamespace: true } } && named.Name == name;
    }

    private static bool IsPartial(TypeDeclarationSyntax declaration)
    {
        for (TypeDeclarationSyntax? type = declaration; type is not null; type = type.Parent as TypeDeclarationSyntax)
        {
            if (type.TypeParameterList is not null || !type.Modifiers.Any(SyntaxKind.PartialKeyword) || type.Modifiers.Any(SyntaxKind.FileKeyword))
            {
                return false;
            }
        }

        return true;
    }

    private static IEnumerable<string> ContainersOf(InterfaceDeclarationSyntax declaration) =>
        declaration.Ancestors().OfType<TypeDeclarationSyntax>().Reverse().Select(static type => type switch
        {
            RecordDeclarationSyntax { ClassOrStructKeyword.RawKind: (int)SyntaxKind.StructKeyword } => $"partial record struct {type.Identifier.Text}",
            _ => $"partial {type.Keyword.Text} {type.Identifier.Text}",
        });

    private static bool IsVisible(INamedTypeSymbol? type)
    {
        for (; type is not null; type = type.ContainingType)
        {
            if (type.DeclaredAccessibility is Accessibility.Private or Accessibility.Protected or Accessibility.ProtectedAndInternal)
            {
                return false;
            }
        }

        return true;
    }

    private static Location? PlaceOf(ISymbol symbol) => symbol.Locations.FirstOrDefault();

    private static Location? LocationOf(AttributeData attribute) => attribute.ApplicationSyntaxReference?.GetSyntax().GetLocation();

    private static Location? LocationOfArgument(AttributeData attribute) =>
        attribute.ApplicationSyntaxReference?.GetSyntax() is AttributeSyntax { ArgumentList.Arguments: { Count: > 0 } arguments }
            ? arguments[0].GetLocation()
            : LocationOf(attribute);

    private static string Text(int number) => number.ToString(System.Globalization.CultureInfo.InvariantCulture);

    // Otherwise the compiler reports it in a generated file, where nobody can mend it.
    private void FindTakenNames(IEnumerable<IMethodSymbol> methods)
    {
        var generated = new HashSet<string>(["Create", "Keys", "Implementation"], StringComparer.Ordinal);
        generated.UnionWith(_entries.SelectMany(static entry => new[] { $"{entry.Name}Key", $"TryParse{entry.Name}Key" }));
        var fields = new HashSet<string>(_entries.Select(static entry => $"s_{entry.Name}"), StringComparer.Ordinal) { "_kv" };
        foreach (var method in methods)
        {
            if (generated.Contains(method.Name))
            {
                Report(KvRules.NameTaken, PlaceOf(method), TypeText.Short(_type), method.Name);
            }

            foreach (var parameter in method.Parameters.Where(parameter => generated.Contains(parameter.Name) || fields.Contains(parameter.Name)))
            {
                Report(KvRules.NameTaken, parameter.Locations.FirstOrDefault(), TypeText.Short(_type), parameter.Name);
            }
        }
    }

    private void Report(DiagnosticDescriptor rule, Location? place, params string[] arguments) =>
        _findings.Add(Finding.Of(rule, FileSpan.Of(place), arguments));
}
