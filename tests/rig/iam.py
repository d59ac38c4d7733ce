"""SimulatePrincipalPolicy, which moto does not implement. Everything else of IAM is moto's."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from werkzeug.wrappers import Response

from .settings import Settings
from .web import Environ, read_body

_ANSWER = """<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
<SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults><member>
<EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>
<EvalDecision>{decision}</EvalDecision><MatchedStatements/><MissingContextValues/>
</member></EvaluationResults></SimulatePrincipalPolicyResult>
<ResponseMetadata><RequestId>7a62c49f-347e-4fc4-9331-6e8eEXAMPLE</RequestId></ResponseMetadata>
</SimulatePrincipalPolicyResponse>"""


class Iam:
    """A WSGI application in front of moto's. A setting decides whether a role may be passed."""

    def __init__(self, moto: Any, settings: Settings) -> None:
        self._moto = moto
        self._settings = settings

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        if environ["rig.call"].operation != "SimulatePrincipalPolicy":
            return self._moto(environ, start_response)
        form = parse_qs(read_body(environ).decode())
        answer = _ANSWER.format(
            action=form["ActionNames.member.1"][0],
            resource=form["ResourceArns.member.1"][0],
            decision="allowed" if self._settings.may_pass_role else "implicitDeny",
        )
        return Response(answer, content_type="text/xml")(environ, start_response)
