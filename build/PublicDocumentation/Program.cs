using System.Xml.Linq;
using PublicDocumentation;

// PublicDocumentation ASSEMBLY DOCUMENTATION: removes from the XML documentation of an assembly what users of the assembly
// cannot see. The compiler writes the comments of internal and private members into it as well.
if (args is not [var assemblyPath, var documentationPath])
{
    Console.Error.WriteLine("Usage: PublicDocumentation ASSEMBLY.dll DOCUMENTATION.xml");
    return 2;
}

var members = MemberVisibility.Read(assemblyPath);
var documentation = XDocument.Load(documentationPath, LoadOptions.PreserveWhitespace);
var failed = false;
foreach (var member in documentation.Descendants("member").ToList())
{
    var id = (string)member.Attribute("name")!;
    switch (members.Find(id))
    {
        case Visibility.Public:
            foreach (var reference in member.Descendants().Where(element => element.Attribute("cref") is not null))
            {
                var target = (string)reference.Attribute("cref")!;
                if (members.Find(target) == Visibility.Hidden)
                {
                    Console.Error.WriteLine($"{documentationPath}: error: the documentation of {id} refers to {target}, which is not public.");
                    failed = true;
                }
            }

            break;
        case Visibility.Hidden:
            if (member.PreviousNode is XText space)
            {
                space.Remove();
            }

            member.Remove();
            break;
        default:
            Console.Error.WriteLine($"{documentationPath}: error: {assemblyPath} has no member {id}.");
            failed = true;
            break;
    }
}

if (failed)
{
    return 1;
}

documentation.Save(documentationPath, SaveOptions.DisableFormatting);
return 0;
