import MartletMacroPlugin
import SwiftSyntaxMacroExpansion
import SwiftSyntaxMacrosGenericTestSupport
import Testing

/// What `@Remote` writes, and what it says.
@Suite struct ExpansionTests {
    static let macros = ["Remote": MacroSpec(type: RemoteMacro.self)]

    private func expectExpansion(
        _ source: String, _ expanded: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        assertMacroExpansion(source, expandedSource: expanded, macroSpecs: Self.macros) { failure in
            Issue.record("\(failure.message)", sourceLocation: sourceLocation)
        }
    }

    /// What is said of the source, at which line and column, and the source with the first fix-it of each applied.
    private func expectDiagnostic(
        _ source: String, _ message: String, line: Int = 1, column: Int, fix: String? = nil, fixed: String? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
        let expanded = lines.map { $0.replacing("@Remote ", with: "") }.joined(separator: "\n")
        assertMacroExpansion(
            source, expandedSource: expanded,
            diagnostics: [
                DiagnosticSpec(
                    message: message, line: line, column: column,
                    fixIts: fix.map { [FixItSpec(message: $0)] } ?? [])
            ], macroSpecs: Self.macros, fixedSource: fixed
        ) { failure in Issue.record("\(failure.message)", sourceLocation: sourceLocation) }
    }

    @Test func `A function gets a task and an overload`() {
        expectExpansion("", "")
    }
}
