import SwiftParser
import SwiftSyntax
import SwiftSyntaxBuilder
import SwiftSyntaxMacros

/// `@Remote`: makes a task of a function, and overloads that call it in a context and in a group.
enum RemoteMacro: PeerMacro {
    static func expansion(
        of node: AttributeSyntax,
        providingPeersOf declaration: some DeclSyntaxProtocol,
        in context: some MacroExpansionContext
    ) throws -> [DeclSyntax] {
        guard let function = declaration.as(FunctionDeclSyntax.self) else {
            context.diagnose(RemoteDiagnostic.noFunction.at(declaration))
            return []
        }
        var check = RemoteCheck(function, in: context.lexicalContext)
        check.run()
        let overload = check.overload(of: node)
        guard check.findings.isEmpty else {
            for finding in check.findings { context.diagnose(finding) }
            return []
        }
        let source = RemoteSource(
            RemoteFunction(
                function, in: context.lexicalContext, overload: overload, module: module(of: node, in: context)))
        return [source.task, source.contextOverload, source.groupOverload].map { DeclSyntax(stringLiteral: $0) }
    }

    /// The name of the module that the function is in.
    private static func module(of node: AttributeSyntax, in context: some MacroExpansionContext) -> String? {
        let file = context.location(of: node, at: .afterLeadingTrivia, filePathMode: .fileID)?.file
        return file?.as(StringLiteralExprSyntax.self)?.representedLiteralValue?.split(separator: "/").first.map(
            String.init)
    }
}
