import Foundation
import MartletTestKit
import Testing

@testable import MartletPython

@Suite(.leakChecked) struct ImportScannerTests {
    private func imports(_ source: String, of module: String = "a.b.c", isPackage: Bool = false) -> [String] {
        ImportScanner.imports(in: Array(source.utf8), of: module, isPackage: isPackage)
    }

    @Test func `Statements are found in every form`() {
        #expect(imports("import x") == ["x"])
        #expect(imports("import x.y as z, w\n") == ["x.y", "w"])
        #expect(imports("from x import y as z, w") == ["x", "x.y", "x.w"])
        #expect(imports("from x import (y, # one\n  z,\n)\nimport w") == ["x", "x.y", "x.z", "w"])
        #expect(imports("from x import *") == ["x"])
        #expect(imports("import x; import y") == ["x", "y"])
        #expect(imports("try: import x\nexcept ImportError: x = None") == ["x"])
        #expect(imports("def f():\n    import x\n    from y \\\n  import z\n") == ["x", "y", "y.z"])
    }

    @Test func `Relative ones begin at the module's package`() {
        #expect(imports("from . import x") == ["a.b", "a.b.x"])
        #expect(imports("from .. import x") == ["a", "a.x"])
        #expect(imports("from ..d.e import x") == ["a.d.e", "a.d.e.x"])
        #expect(imports("from . import x", isPackage: true) == ["a.b.c", "a.b.c.x"])
        #expect(imports("from .... import x") == [])
    }

    @Test func `Text that looks like one is none`() {
        #expect(imports("'''\nimport x\n'''\n\"import y\"\n# import z\nx = 'it\\'s'; import w") == ["w"])
        #expect(imports("r'\\\\' + 'import x'\nimport y") == ["y"])
        #expect(imports("x = (1,\nimport_me)\nyield from x\nraise A from b") == [])
        #expect(imports("") == [])
        #expect(imports("import") == [])
        #expect(imports("from x import (") == ["x"])
        #expect(imports("'''\nimport x") == [])
    }

    @Test func `Of the standard library it finds what Python itself finds`() async throws {
        // Each line: the path, the module's name, whether it is a package, and what its tree says.
        let script = #"""
            import ast, os, sys
            root, names, count = os.path.dirname(os.__file__), ["json", "email", "xml", "asyncio", "logging"], 0
            def resolved(node, package):
                base = package[:len(package) - node.level + 1] if node.level else []
                return ".".join(base + (node.module.split(".") if node.module else []))
            for top in names:
                for folder, _, files in os.walk(os.path.join(root, top)):
                    for file in files:
                        path = os.path.join(folder, file)
                        if not file.endswith(".py"): continue
                        parts = os.path.relpath(path[:-3], root).split(os.sep)
                        is_package = parts[-1] == "__init__"
                        if is_package: parts.pop()
                        package = parts if is_package else parts[:-1]
                        found = set()
                        for node in ast.walk(ast.parse(open(path, "rb").read())):
                            if isinstance(node, ast.Import):
                                found.update(name.name for name in node.names)
                            elif isinstance(node, ast.ImportFrom):
                                base = resolved(node, package)
                                found.add(base)
                                found.update(base + "." + name.name for name in node.names if name.name != "*")
                        print(" ".join([path, ".".join(parts), str(int(is_package))] + sorted(found)))
            """#
        let answer = try await runProgram(["python3", "-c", script], within: .seconds(60))
        let lines = answer.output.split(separator: "\n")
        #expect(lines.count > 80, "\(answer.errors)")
        for line in lines {
            let parts = line.split(separator: " ").map(String.init)
            let source = try #require(FileManager.default.contents(atPath: parts[0]))
            let found = ImportScanner.imports(in: Array(source), of: parts[1], isPackage: parts[2] == "1")
            #expect(Set(found) == Set(parts[3...]), "\(parts[0])")
        }
    }
}
