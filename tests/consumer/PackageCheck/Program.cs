using System.IO.Compression;
using System.Reflection;
using System.Reflection.Metadata;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using KvStore;

// PackageCheck FEED VERSION REPOSITORY: looks into the packages of a folder. Prints what is wrong, and exits with 1 when
// anything is.
var (feed, version, repository) = (args[0], args[1], args[2]);
var faults = new List<string>();
var assemblies = new Dictionary<string, Assembly>
{
    ["KvStore"] = typeof(KvNamespace).Assembly,
    ["KvStore.AspNetCore"] = typeof(KvNamespaceCatalog).Assembly,
    ["KvStore.Caching"] = typeof(KvDistributedCache).Assembly,
    ["KvStore.Dashboard"] = typeof(KvDashboardOptions).Assembly,
    ["KvStore.FeatureManagement"] = typeof(Microsoft.FeatureManagement.KvFeatureManagementBuilderExtensions).Assembly,
    ["KvStore.PostgreSql"] = typeof(KvPostgreSql).Assembly,
};

Expect(
    Directory.GetFiles(feed, "*.nupkg").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)
        .SequenceEqual(assemblies.Keys.Select(name => $"{name}.{version}.nupkg").Order(StringComparer.Ordinal)),
    "packing in the root makes these packages and no others: " + string.Join(", ", assemblies.Keys));
foreach (var (name, assembly) in assemblies)
{
    using var package = ZipFile.OpenRead(Path.Combine(feed, $"{name}.{version}.nupkg"));
    CheckManifest(name, Text(package, $"{name}.nuspec"));
    CheckReadme(name, Text(package, "README.md"));
    Expect(Bytes(package, "icon.png") is [0x89, (byte)'P', (byte)'N', (byte)'G', ..], $"{name}: icon.png is a PNG");
    CheckDocumentation(name, assembly, XDocument.Parse(Text(package, $"lib/net10.0/{name}.xml")));
    CheckPaths($"{name}.dll", Bytes(package, $"lib/net10.0/{name}.dll"));

    if (name == "KvStore")
    {
        string[] generator =
            ["analyzers/dotnet/cs/KvStore.Generators.dll", "analyzers/dotnet/cs/Tomlyn.dll", "build/KvStore.targets", "buildTransitive/KvStore.targets", "THIRD-PARTY-NOTICES.txt"];
        foreach (var file in generator)
        {
            Expect(package.GetEntry(file) is { Length: > 0 }, $"{name}: the package has {file}");
        }
    }

    using var symbols = ZipFile.OpenRead(Path.Combine(feed, $"{name}.{version}.snupkg"));
    var pdb = Bytes(symbols, $"lib/net10.0/{name}.pdb");
    CheckPaths($"{name}.pdb", pdb);
    CheckSources(name, pdb);
}

foreach (var fault in faults)
{
    Console.Error.WriteLine($"package check: not so: {fault}");
}

return faults.Count == 0 ? 0 : 1;

void CheckManifest(string name, string text)
{
    var metadata = XDocument.Parse(text).Root!.Elements().Single();
    string Value(string element) => metadata.Elements().SingleOrDefault(e => e.Name.LocalName == element)?.Value ?? "";
    Expect(Value("license") == "MIT", $"{name}: the licence is MIT");
    Expect(Value("readme") == "README.md", $"{name}: the manifest names the readme");
    Expect(Value("icon") == "icon.png", $"{name}: the manifest names the icon");
    Expect(Uri.TryCreate(Value("projectUrl"), UriKind.Absolute, out _), $"{name}: there is a project URL");
    Expect(Value("releaseNotes").StartsWith("## ", StringComparison.Ordinal) && Value("releaseNotes").Contains("###"), $"{name}: there are release notes");
    Expect(Value("description").Length > 40, $"{name}: there is a description");
    var dependencies = metadata.Descendants().Where(e => e.Name.LocalName == "dependency").ToList();
    foreach (var dependency in dependencies)
    {
        var (id, needed) = ((string)dependency.Attribute("id")!, (string)dependency.Attribute("version")!);
        Expect(
            id.StartsWith("Microsoft.Extensions.", StringComparison.Ordinal) ? needed == "10.0.0" : OthersNeededBy(name).Contains(id),
            $"{name}: it depends on {id} {needed}, which is needed and the lowest");
    }
}

static string[] OthersNeededBy(string name) => name switch
{
    "KvStore" => ["Tomlyn"],
    "KvStore.AspNetCore" => ["KvStore", "KvStore.Caching"],
    "KvStore.Dashboard" => ["KvStore.AspNetCore"],
    "KvStore.FeatureManagement" => ["KvStore", "Microsoft.FeatureManagement"],
    "KvStore.PostgreSql" => ["KvStore", "Npgsql"],
    _ => ["KvStore"],
};

void CheckReadme(string name, string text)
{
    Expect(text.StartsWith($"# {name}\n", StringComparison.Ordinal), $"{name}: the readme is its own");
    Expect(text.Contains($"dotnet add package {name}\n"), $"{name}: the readme says how to install it");
    foreach (Match link in Regex.Matches(text, @"\]\((?<target>[^)]+)\)"))
    {
        Expect(link.Groups["target"].Value.StartsWith("https://", StringComparison.Ordinal), $"{name}: the link {link.Value} of the readme is absolute");
    }
}

// Independent of how ids spell parameters: each documented name is a name that reflection shows to be visible.
void CheckDocumentation(string name, Assembly assembly, XDocument documentation)
{
    var visible = assembly.GetExportedTypes().ToDictionary(type => type.FullName!.Replace('+', '.'));
    const BindingFlags All = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
    var members = documentation.Descendants("member").Select(member => (string)member.Attribute("name")!).ToList();
    Expect(members.Count > 0, $"{name}: the documentation has what is public");
    foreach (var id in members)
    {
        var path = Regex.Replace(id[2..].Split('(', '~')[0], "``[0-9]+$", "");
        if (id[0] == 'T')
        {
            Expect(visible.ContainsKey(path), $"{name}: the documented type {id} is public");
            continue;
        }

        var (owner, member) = (path[..path.LastIndexOf('.')], path[(path.LastIndexOf('.') + 1)..].Replace("#ctor", ".ctor"));
        Expect(
            visible.TryGetValue(owner, out var type) && type.GetMember(member, All).Any(IsVisible), $"{name}: the documented member {id} is public");
    }

    // The compiler makes types of its own for extension blocks, with names that C# cannot write.
    foreach (var type in visible.Keys.Where(static type => !type.Contains('<')))
    {
        Expect(members.Contains($"T:{type}"), $"{name}: the public type {type} is documented");
    }
}

static bool IsVisible(MemberInfo member) => member switch
{
    MethodBase method => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly,
    FieldInfo field => field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly,
    PropertyInfo property => property.GetAccessors(nonPublic: true).Any(IsVisible),
    EventInfo @event => IsVisible(@event.AddMethod!),
    _ => true,
};

// A debugger gets every source file from the symbols, by a path that does not name the machine that built them.
void CheckSources(string name, byte[] pdb)
{
    using var provider = MetadataReaderProvider.FromPortablePdbStream(new MemoryStream(pdb));
    var reader = provider.GetMetadataReader();
    var embeddedSource = new Guid("0E8A571B-6926-466E-B4AD-8AB04611F5FE");
    var documents = reader.Documents.Select(reader.GetDocument).ToList();
    Expect(documents.Count > 10, $"{name}: the symbols name the sources");
    var embedded = reader.CustomDebugInformation.Select(reader.GetCustomDebugInformation)
        .Where(information => reader.GetGuid(information.Kind) == embeddedSource)
        .Select(information => information.Parent).ToHashSet();
    foreach (var handle in reader.Documents)
    {
        var path = reader.GetString(reader.GetDocument(handle).Name);
        Expect(path.StartsWith("/_/", StringComparison.Ordinal), $"{name}: the path {path} in the symbols is mapped");
        Expect(embedded.Contains(handle), $"{name}: the source {path} is in the symbols");
    }
}

void CheckPaths(string file, byte[] content)
{
    foreach (var path in new[] { repository, Path.GetTempPath().TrimEnd('/'), Environment.GetFolderPath(Environment.SpecialFolder.UserProfile) })
    {
        // "/" and "/tmp" say nothing of a machine and may stand in a text of the program.
        if (path.Count(c => c is '/' or '\\') > 1)
        {
            Expect(content.AsSpan().IndexOf(Encoding.UTF8.GetBytes(path)) < 0, $"{file} does not contain the path {path}");
            Expect(content.AsSpan().IndexOf(Encoding.Unicode.GetBytes(path)) < 0, $"{file} does not contain the path {path}");
        }
    }
}

static byte[] Bytes(ZipArchive archive, string name)
{
    using var stream = (archive.GetEntry(name) ?? throw new InvalidOperationException($"A package has no {name}.")).Open();
    using var bytes = new MemoryStream();
    stream.CopyTo(bytes);
    return bytes.ToArray();
}

static string Text(ZipArchive archive, string name) => Encoding.UTF8.GetString(Bytes(archive, name)).TrimStart('\uFEFF').ReplaceLineEndings("\n");

void Expect(bool condition, string expectation)
{
    if (!condition)
    {
        faults.Add(expectation);
    }
}
