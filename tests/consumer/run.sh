#!/usr/bin/env bash
# Packs everything, and uses the packages as somebody else would, in fresh projects outside the repository:
#   Readme        compiles and runs the first code sample of the README and of the package's readme; they print what they say
#   Web           compiles the code samples of the readmes of the packages for web applications, and runs them
#   Bindings      compiles the program of docs/bindings.md beside its Wrangler file, and runs it
#   Pinned        is pinned to version 10.0.0 of Microsoft.Extensions
#   PackageCheck  looks into the packages
# Warnings are errors everywhere. Needs the .NET SDK and nothing else. Exits with 0 when everything held.
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
mkdir -p "$work/feed"
(cd "$repository" && dotnet pack -o "$work/feed" -p:Version="$version" --nologo) > "$work/pack.log" 2>&1 || {
    cat "$work/pack.log" >&2
    fail "dotnet pack fails"
}
if grep -E 'warning' "$work/pack.log" >&2; then
    fail "dotnet pack in the root warns"
fi

# These end the search for files of the same names in the folders above.
for file in Directory.Build.props Directory.Build.targets Directory.Packages.props; do
    echo '<Project />' > "$work/$file"
done
cat > "$work/nuget.config" <<XML
<configuration>
  <packageSources>
    <add key="just-packed" value="$work/feed" />
  </packageSources>
</configuration>
XML
export NUGET_PACKAGES="$work/packages"

# The block of a language after the first block of C#, or that block itself.
block() {
    awk -v language="$1" '/^```csharp/ { seen = 1 } $0 == "```" language && seen { inside = 1; next } /^```/ && inside { exit } inside' "$2"
}

# Builds a project in a copy of its own: its name, the project, its program, and a file beside it.
build() {
    local name=$1 source=$2
    cp -r "$repository/tests/consumer/$source" "$work/$name"
    [ "$#" -lt 3 ] || cp "$3" "$work/$name/Program.cs"
    [ "$#" -lt 4 ] || cp "$4" "$work/$name/"
    (cd "$work/$name" && dotnet build -c Release -o "$work/built-$name" -p:KvStoreVersion="$version" --nologo -v quiet) || fail "$name does not build"
}

for readme in README.md src/KvStore/README.md; do
    name=Readme-$(tr '/.' '--' <<< "$readme")
    block csharp "$repository/$readme" > "$work/Program.cs"
    block text "$repository/$readme" > "$work/expected.txt"
    [ -s "$work/Program.cs" ] || fail "$readme has no block of C#"
    [ -s "$work/expected.txt" ] || fail "$readme does not say what its code prints"
    build "$name" Readme "$work/Program.cs"
    dotnet "$work/built-$name/Readme.dll" > "$work/printed.txt"
    diff -u "$work/expected.txt" "$work/printed.txt" || fail "the code of $readme prints something else than it says"
done
[ "$(grep -m 1 -A 1 '^```sh' "$repository/README.md" | tail -n 1)" = "dotnet add package KvStore" ] || fail "README.md does not begin with installing the package"

build Pinned Pinned
[ "$(dotnet "$work/built-Pinned/Pinned.dll" | paste -sd ' ')" = "configured 414" ] || fail "the program that is pinned to 10.0.0 does not run"

# The samples of the web packages, with requests to them: only a server can refuse a request without authentication.
server=
trap '[ -z "$server" ] || kill "$server" 2> /dev/null || true; rm -rf "$work"' EXIT

# Builds and starts the sample of a package's readme, and waits until it listens on $url.
serve() {
    local package=$1 name=Web-$1
    block csharp "$repository/src/$package/README.md" > "$work/Program.cs"
    [ -s "$work/Program.cs" ] || fail "src/$package/README.md has no block of C#"
    KvStorePackage=$package build "$name" Web "$work/Program.cs"
    mkdir "$work/content-$name"
    (cd "$work/content-$name" && exec env KvToken=a-token-of-16-characters dotnet "$work/built-$name/Web.dll" --urls http://127.0.0.1:0) > "$work/web.log" 2>&1 &
    server=$!
    url=
    for _ in $(seq 300); do
        url=$(grep -o 'http://127.0.0.1:[0-9]*' "$work/web.log" | head -n 1) && break
        kill -0 "$server" 2> /dev/null || break
        sleep 0.1
    done
    [ -n "$url" ] || { cat "$work/web.log" >&2; fail "the web application of $package does not start"; }
}

stop() {
    kill "$server"
    wait "$server" 2> /dev/null || true
    server=
}

# The status of the answer to a request for a path, with a header or without. In bash alone: not every machine has curl.
status() {
    exec 3<> "/dev/tcp/127.0.0.1/${url##*:}"
    printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n' "$1" "$2" >&3
    head -n 1 <&3 | awk '{ print $2 }'
    exec 3>&-
}

api=/client/v4/accounts/local/storage/kv/namespaces
serve KvStore.AspNetCore
anonymous=$(status "$api" '')
[[ "$anonymous" =~ ^40[13]$ ]] || fail "the REST API answers a request without a token with $anonymous"
owner=$(status "$api" $'Authorization: Bearer a-token-of-16-characters\r\n')
[ "$owner" = 200 ] || fail "the REST API answers its token with $owner"
stop

serve KvStore.Caching
cached=$(status /price/book '')
[ "$cached" = 200 ] || fail "the application with a distributed cache answers with $cached"
stop

serve KvStore.Dashboard
anonymous=$(status /dashboard '')
[ "$anonymous" = 302 ] || fail "the dashboard answers a request without a session with $anonymous, and not with a redirection to the sign-in page"
stop

serve KvStore.FeatureManagement
switched=$(status / '')
[ "$switched" = 200 ] || fail "the application with feature flags answers with $switched"
stop

# The program of docs/bindings.md with its Wrangler file beside it and no setting for the generator, and with the same file as TOML:
# Tomlyn is found beside the generator.
bindings="$repository/docs/bindings.md"
awk '/^```jsonc/ { inside = 1; next } /^```/ && inside { exit } inside' "$bindings" > "$work/wrangler.jsonc"
block csharp "$bindings" > "$work/Program.cs"
block text "$bindings" > "$work/expected.txt"
for file in wrangler.jsonc Program.cs expected.txt; do
    [ -s "$work/$file" ] || fail "docs/bindings.md has no block for $file"
done
printf '[[kv_namespaces]]\nbinding = "FLAGS"\nid = "f1a65"\n' > "$work/wrangler.toml"
for file in wrangler.jsonc wrangler.toml; do
    name=Bindings-${file#wrangler.}
    build "$name" Bindings "$work/Program.cs" "$work/$file"
    dotnet "$work/built-$name/Bindings.dll" > "$work/printed.txt"
    diff -u "$work/expected.txt" "$work/printed.txt" || fail "the program of docs/bindings.md prints something else beside $file"
done

build PackageCheck PackageCheck
dotnet "$work/built-PackageCheck/PackageCheck.dll" "$work/feed" "$version" "$repository" || fail "a package is not as it must be"

echo "consumer test: the packages are complete, programs pinned to 10.0.0 can use them, and the readmes' code prints what they say"
