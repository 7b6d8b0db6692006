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

package="$work/packages/kvstore/$version"
for file in README.md lib/net10.0/KvStore.dll lib/net10.0/KvStore.xml; do
    [ -s "$package/$file" ] || fail "the package has no $file"
done
cmp -s "$repository/README.md" "$package/README.md" || fail "the README in the package is another one"
for element in '<license type="expression">MIT</license>' '<readme>README.md</readme>' '<targetFramework>net10.0|targetFramework="net10.0"'; do
    grep -qE "${element}" "$package/kvstore.nuspec" || fail "the package's manifest has no $element"
done
foreign=$(grep -oE '<dependency id="[^"]+"' "$package/kvstore.nuspec" | grep -v '"Microsoft\.Extensions\.' || true)
[ -z "$foreign" ] || fail "the package depends on more than Microsoft.Extensions: $foreign"

echo "consumer test: the package is complete, and the README's code prints what the README says"
