#!/usr/bin/env bash
# Packs KvStore, restores the package into a fresh project outside the repository, compiles the README's code sample there,
# runs it, and compares what it prints with what the README says that it prints. Also looks into the package.
# Needs the .NET SDK and nothing else. Exits with 0 when everything held.
set -euo pipefail
unset CDPATH
repository=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "consumer test: $*" >&2
    exit 1
}

# A version that nobody has published: no feed and no cache can stand in for what was just packed.
version="0.0.0-consumer.$(date +%s)"
mkdir -p "$work/feed" "$work/project"
dotnet pack "$repository/src/KvStore" -c Release -o "$work/feed" -p:Version="$version" --nologo -v quiet

cp "$repository/tests/consumer/Consumer.csproj" "$work/project/"
# These end the search for files of the same names in the folders above.
for file in Directory.Build.props Directory.Build.targets Directory.Packages.props; do
    echo '<Project />' > "$work/project/$file"
done
cat > "$work/project/nuget.config" <<XML
<configuration>
  <packageSources>
    <add key="just-packed" value="$work/feed" />
  </packageSources>
</configuration>
XML

# The first block of C# in the README, and the first block of plain text after it.
awk '/^```csharp/ { inside = 1; next } /^```/ && inside { exit } inside' "$repository/README.md" > "$work/project/Program.cs"
awk '/^```csharp/ { seen = 1 } /^```text/ && seen { inside = 1; next } /^```/ && inside { exit } inside' \
    "$repository/README.md" > "$work/expected.txt"
[ -s "$work/project/Program.cs" ] || fail "README.md has no block of C#"
[ -s "$work/expected.txt" ] || fail "README.md does not say what its code prints"

export NUGET_PACKAGES="$work/packages"
cd "$work/project"
dotnet build -c Release -o "$work/built" -p:KvStoreVersion="$version" --nologo -v quiet
dotnet "$work/built/Consumer.dll" > "$work/printed.txt"
diff -u "$work/expected.txt" "$work/printed.txt" || fail "the README's code prints something else than the README says"

# The program of docs/bindings.md, in a fresh project with its Wrangler file beside it and no setting for the generator.
site="$work/FlagSite"
mkdir -p "$site"
cp "$work/project/Directory.Build.props" "$work/project/Directory.Build.targets" "$work/project/Directory.Packages.props" "$work/project/nuget.config" "$site/"
cp "$repository/tests/consumer/Consumer.csproj" "$site/FlagSite.csproj"
sed -i 's|</ItemGroup>|  <PackageReference Include="Microsoft.Extensions.DependencyInjection" Version="10.0.*" />\n  </ItemGroup>|' "$site/FlagSite.csproj"
block() {
    awk -v mark="^\`\`\`$1\$" '$0 ~ mark && !seen { inside = 1; seen = 1; next } /^```/ && inside { exit } inside' "$repository/docs/bindings.md"
}
block jsonc > "$site/wrangler.jsonc"
block csharp > "$site/Program.cs"
block text > "$work/site-expected.txt"
for file in "$site/wrangler.jsonc" "$site/Program.cs" "$work/site-expected.txt"; do
    [ -s "$file" ] || fail "docs/bindings.md has no block for $(basename "$file")"
done
cd "$site"
dotnet build -c Release -o "$work/site-built" -p:KvStoreVersion="$version" --nologo -v quiet
dotnet "$work/site-built/FlagSite.dll" > "$work/site-printed.txt"
diff -u "$work/site-expected.txt" "$work/site-printed.txt" || fail "the program of docs/bindings.md prints something else than the page says"

# The same file as TOML: Tomlyn is found beside the generator.
rm "$site/wrangler.jsonc"
printf '[[kv_namespaces]]\nbinding = "FLAGS"\nid = "f1a65"\n' > "$site/wrangler.toml"
dotnet build -c Release -o "$work/site-built" -p:KvStoreVersion="$version" --nologo -v quiet
dotnet "$work/site-built/FlagSite.dll" > "$work/site-printed.txt"
diff -u "$work/site-expected.txt" "$work/site-printed.txt" || fail "the program of docs/bindings.md prints something else beside a wrangler.toml"

package="$work/packages/kvstore/$version"
for file in README.md lib/net10.0/KvStore.dll lib/net10.0/KvStore.xml analyzers/dotnet/cs/KvStore.Generators.dll analyzers/dotnet/cs/Tomlyn.dll build/KvStore.targets buildTransitive/KvStore.targets THIRD-PARTY-NOTICES.txt; do
    [ -s "$package/$file" ] || fail "the package has no $file"
done
cmp -s "$repository/README.md" "$package/README.md" || fail "the README in the package is another one"
for element in '<license type="expression">MIT</license>' '<readme>README.md</readme>' '<targetFramework>net10.0|targetFramework="net10.0"'; do
    grep -qE "${element}" "$package/kvstore.nuspec" || fail "the package's manifest has no $element"
done
foreign=$(grep -oE '<dependency id="[^"]+"' "$package/kvstore.nuspec" | grep -vE '"(Microsoft\.Extensions\..*|Tomlyn)"' || true)
[ -z "$foreign" ] || fail "the package depends on more than Microsoft.Extensions and Tomlyn: $foreign"

echo "consumer test: the package is complete, and the README's code prints what the README says"
